/* A shared object whose quantizer is a Python module: its encode and decode are called in the process that hosts the
 * object.
 *
 *     cc -O2 -shared -fPIC -DMODULE='"/path/to/ternary.py"' python.c -o ternary.so $(pkg-config --cflags bitgap) \
 *         $(python3-config --includes --ldflags --embed)
 *     bitgap curve MODEL -q exec:lib=./ternary.so,bits=1.6
 *
 * The module defines encode(rows, cols, bits, seed, weights) → bytes and decode(rows, cols, bits, seed, stored) → a
 * buffer of rows·cols float32. What comes in is a memoryview, float32 or bytes; NumPy takes it with numpy.frombuffer.
 */
#define _GNU_SOURCE
#include <Python.h>
#include <bitgap_quantizer.h>
#include <dlfcn.h>
#include <string.h>

/* Starts Python once. Its own extensions look for its symbols among the global ones, where a hosted object's are not:
 * the library that holds them is opened again as a global one. */
static void start(void)
{
    Dl_info python;
    if (Py_IsInitialized())
        return;
    if (dladdr((void *)Py_IsInitialized, &python))
        dlopen(python.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    Py_InitializeEx(0);
}

/* Calls MODULE's function `name`; the caller releases what comes back. NULL after an exception, which is printed. */
static PyObject *call(const bitgap_matrix *m, const char *name, PyObject *data)
{
    static PyObject *module;
    if (!module) {
        PyObject *names = PyDict_New(), *ran = NULL;
        FILE *f = fopen(MODULE, "r");
        if (names && f && !PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()))
            ran = PyRun_FileEx(f, MODULE, Py_file_input, names, names, 1);
        if (ran)
            module = names;
        Py_XDECREF(ran);
    }
    PyObject *function = module ? PyDict_GetItemString(module, name) : NULL;
    PyObject *back = function ? PyObject_CallFunction(function, "nndKO", (Py_ssize_t)m->rows, (Py_ssize_t)m->cols,
                                                      m->bits, (unsigned long long)m->seed, data)
                              : NULL;
    if (PyErr_Occurred())
        PyErr_Print();
    return back;
}

/* Calls, and copies the answer's bytes into out (at most room). 0: done. */
static int answer(const bitgap_matrix *m, const char *name, const void *in, size_t size, char *format, void *out,
                  size_t room, size_t *bytes)
{
    start();
    PyObject *raw = PyMemoryView_FromMemory((char *)in, (Py_ssize_t)size, PyBUF_READ);
    PyObject *data = raw ? PyObject_CallMethod(raw, "cast", "s", format) : NULL,
             *back = data ? call(m, name, data) : NULL;
    Py_buffer view;
    int failed = !back || PyObject_GetBuffer(back, &view, PyBUF_C_CONTIGUOUS);
    if (!failed) {
        *bytes = (size_t)view.len;
        failed = *bytes > room;
        memcpy(out, view.buf, failed ? 0 : *bytes);
        PyBuffer_Release(&view);
    }
    Py_XDECREF(back);
    Py_XDECREF(data);
    Py_XDECREF(raw);
    return failed;
}

static int encode(const bitgap_matrix *m, const float *w, uint8_t *stored, size_t room, size_t *bytes)
{
    return answer(m, "encode", w, m->rows * m->cols * sizeof *w, "f", stored, room, bytes);
}

static int decode(const bitgap_matrix *m, const uint8_t *stored, size_t bytes, float *out)
{
    size_t all = m->rows * m->cols * sizeof *out, got = 0;
    return answer(m, "decode", stored, bytes, "B", out, all, &got) || got != all;
}

const bitgap_quantizer bitgap_quantizer_here = {BITGAP_QUANTIZER_ABI, encode, decode};
