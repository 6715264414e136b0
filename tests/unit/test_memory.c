/* What calibrating, GPTQ and a forward pass may keep in memory, by formula: runs in processes of their own on synthetic
 * models whose shapes make each thing that must not be kept (a square Σ, an embedding, all samples, all logits, all
 * layers' activations) larger than the slack. */
#define _GNU_SOURCE
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <omp.h>
#include <cmocka.h>
#include "analysis/output/calibrate.h"
#include "analysis/output/speed.h"
#include "io/base/file.h"
#include "quant/probability/random.h"
#include "tests/scratch.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { MEASURED = 0 }; /* its shadow and its quarantine are in every peak */
#else
enum { MEASURED = 1 };
#endif

enum { THREADS = 2, SLACK = 12 << 20 /* code paged in, packed panels, stacks, buffers of files */ };

/* ---- synthetic models ---- */

typedef struct shape {
    int hidden, heads, inner, layers, vocab;
} shape;

typedef struct writer {
    FILE *header, *data;
    uint64_t bytes, seed;
} writer;

/* bf16 between −1/8 and 1/8, of 15 bits that the place alone decides. */
static void put(writer *w, const char *name, int64_t rows, int64_t cols)
{
    int64_t n = rows * (cols ? cols : 1);
    fprintf(w->header, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%lld", w->bytes ? "," : "{", name, (long long)rows);
    if (cols)
        fprintf(w->header, ",%lld", (long long)cols);
    fprintf(w->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)w->bytes,
            (unsigned long long)w->bytes + 2 * (uint64_t)n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = bg_bits_at(w->seed, (uint64_t)i);
        uint16_t v = (uint16_t)((bits & 0x807f) | (121u + (bits >> 20 & 1)) << 7); /* exponents of 1/64 and 1/32 */
        fwrite(&v, sizeof v, 1, w->data);
    }
    w->bytes += 2 * (uint64_t)n;
    w->seed++;
}

static void put_layers(writer *w, const shape *s)
{
    const struct {
        const char *name;
        int64_t rows, cols;
    } parts[] = {{"input_layernorm", s->hidden, 0},          {"self_attn.q_proj", s->hidden, s->hidden},
                 {"self_attn.k_proj", s->hidden, s->hidden}, {"self_attn.v_proj", s->hidden, s->hidden},
                 {"self_attn.o_proj", s->hidden, s->hidden}, {"post_attention_layernorm", s->hidden, 0},
                 {"mlp.gate_proj", s->inner, s->hidden},     {"mlp.up_proj", s->inner, s->hidden},
                 {"mlp.down_proj", s->hidden, s->inner}};
    char name[96];
    put(w, "model.embed_tokens.weight", s->vocab, s->hidden);
    for (int l = 0; l < s->layers; l++)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, parts[i].name);
            put(w, name, parts[i].rows, parts[i].cols);
        }
    put(w, "model.norm.weight", s->hidden, 0);
}

static int write_model(const shape *s)
{
    char *header = NULL, *data = NULL;
    size_t length = 0, size = 0;
    writer w = {open_memstream(&header, &length), open_memstream(&data, &size), 0, 1};
    FILE *model = fopen(scratch("model.safetensors"), "wb"), *config = fopen(scratch("config.json"), "w");
    if (!w.header || !w.data || !model || !config)
        return 1;
    put_layers(&w, s);
    fputc('}', w.header);
    fclose(w.header);
    fclose(w.data);
    uint64_t n = length;
    int good = fwrite(&n, sizeof n, 1, model) == 1 && fwrite(header, 1, length, model) == length &&
               fwrite(data, 1, size, model) == size;
    free(header);
    free(data);
    fprintf(config,
            "{\"model_type\":\"llama\",\"hidden_act\":\"silu\",\"hidden_size\":%d,\"intermediate_size\":%d,"
            "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"vocab_size\":%d,"
            "\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-05,\"tie_word_embeddings\":true}\n",
            s->hidden, s->inner, s->layers, s->heads, s->heads, s->vocab);
    return fclose(model) || fclose(config) || !good;
}

/* Bytes of one layer's activations: a pass's scratch for so many tokens. */
static double activations(const shape *s, int64_t tokens)
{
    return 4.0 * (double)tokens * (2.0 * s->hidden + 3.0 * s->hidden + s->hidden + 2.0 * s->inner);
}

static double layer_bytes(const shape *s)
{
    return 4.0 * (4.0 * s->hidden * s->hidden + 3.0 * s->hidden * s->inner + 2.0 * s->hidden);
}

/* ---- peaks ---- */

typedef struct job {
    const shape *shape;
    int samples, length;
    uint64_t states_bytes;
    const char *sequential; /* or the spec under test */
} job;

typedef int (*work)(bg_model *m, const int32_t *ids, const job *j, bg_err *e);

static int run(const job *j, work body, bg_err *e)
{
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    int64_t n = (int64_t)j->samples * j->length;
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    if (!ids)
        return bg_no_memory(e, "ids", (unsigned long long)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(bg_bits_at(7, (uint64_t)i) % (uint64_t)j->shape->vocab);
    int status = bg_ckpt_open(scratch_directory, &(bg_ckpt_options){0}, &c, e);
    if (!status)
        status = bg_model_open(c, &m, e);
    if (!status)
        status = body(m, ids, j, e);
    bg_model_close(m);
    bg_ckpt_close(c);
    free(ids);
    return status;
}

/* Bytes that a process of its own grew by at most. Nothing is made before the fork, here, that it could reuse; and
 * threads would not outlive it. */
static double growth(const job *j, work body)
{
    int ends[2], status = 0;
    double bytes = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) {
        bg_err e = {0};
        omp_set_num_threads(THREADS);
        mallopt(M_MMAP_THRESHOLD, 1 << 20); /* what is freed is given back: the peak is what is in use */
        double before = (double)bg_peak_bytes();
        status = run(j, body, &e);
        bytes = (double)bg_peak_bytes() - before;
        if (status)
            fprintf(stderr, "%s\n", e.text);
        _exit(status || write(ends[1], &bytes, sizeof bytes) != sizeof bytes);
    }
    close(ends[1]);
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &bytes, sizeof bytes), sizeof bytes);
    close(ends[0]);
    return bytes;
}

static void make_model(const shape *s)
{
    int status = 0;
    pid_t child = fork();
    if (!child)
        _exit(write_model(s));
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

static void at_most(const char *what, double bytes, double most)
{
    printf("%s: %.1f MB of %.1f\n", what, bytes / 1e6, most / 1e6);
    if (MEASURED && !(bytes <= most))
        fail_msg("%s: %.1f MB, at most %.1f are needed", what, bytes / 1e6, most / 1e6);
    if (MEASURED)
        assert_true(bytes > 0); /* that the system says it at all */
}

/* ---- calibrating ---- */

static int calibrate(bg_model *m, const int32_t *ids, const job *j, bg_err *e)
{
    bg_spec spec;
    bg_out side = {0};
    bg_calibrate_result r = {0};
    bg_calibrate_options o = {
        .length = j->length, .states_bytes = j->states_bytes, .sequential = j->sequential ? &spec : NULL, .seed = 1};
    int status = j->sequential ? bg_spec_parse(j->sequential, &spec, e) : BG_OK;
    unlink(scratch("k.bin")); /* of the run before */
    if (!status)
        status = bg_out_replace(&side, scratch("k.bin"), e); /* an earlier child left one */
    if (!status)
        status = bg_calibrate(m, ids, (int64_t)j->samples * j->length, &o, &side, &r, e);
    if (!status)
        status = bg_out_commit(&side, e);
    bg_out_abandon(&side);
    free(r.layers);
    return status;
}

/* One layer's weights, half of each Σ, one block of samples: no square Σ (+38 MB), no embedding (+34), no second layer
 * (+10). */
static void one_layer_and_its_moments(void **state)
{
    (void)state;
    static const shape s = {256, 4, 3072, 3, 32768};
    const job j = {&s, 8, 128, 0, NULL};
    make_model(&s);
    double triangles = 8.0 * (3.0 * s.hidden * (s.hidden + 1) / 2 + (double)s.inner * (s.inner + 1) / 2);
    at_most("calibrate", growth(&j, calibrate),
            triangles + layer_bytes(&s) + activations(&s, 1024) + 4.0 * 1024 * s.hidden + SLACK);
}

/* 512 samples instead of 8, whose states are 33 MB more, need no more memory. */
static void samples_need_no_memory(void **state)
{
    (void)state;
    static const shape s = {128, 4, 64, 2, 512};
    static const char *const ways[] = {NULL, "rtn:bits=4"};
    make_model(&s);
    for (int i = 0; i < 2; i++) {
        const job few = {&s, 8, 128, 0, ways[i]}, many = {&s, 512, 128, 1 << 20, ways[i]};
        at_most(i ? "sequential" : "samples", growth(&many, calibrate), growth(&few, calibrate) + (4 << 20));
    }
}

/* ---- GPTQ ---- */

enum { INPUTS = 3072, OUTPUTS = 256, SEEN = 256 };

/* Moments gathered, made a square, and a matrix quantized with them. */
static int gptq(bg_model *m, const int32_t *ids, const job *j, bg_err *e)
{
    (void)m, (void)ids;
    bg_activations s;
    bg_spec spec;
    bg_measure measure = {0};
    float *x = malloc(sizeof(float) * SEEN * INPUTS), *w = malloc(sizeof(float) * OUTPUTS * INPUTS);
    float *hat = malloc(sizeof(float) * OUTPUTS * INPUTS);
    if (!x || !w || !hat || bg_spec_parse(j->sequential, &spec, e) || bg_activations_init(&s, INPUTS, e))
        return 1;
    for (int i = 0; i < SEEN * INPUTS; i++)
        x[i] = (float)(bg_uniform_at(2, (uint64_t)i) - 0.5);
    for (int i = 0; i < OUTPUTS * INPUTS; i++)
        w[i] = (float)(bg_uniform_at(3, (uint64_t)i) - 0.5);
    bg_activations_add(&s, x, SEEN);
    free(x);
    int status = bg_activations_finish(&s, "x", e);
    if (!status)
        status = bg_activations_square(&s, e);
    bg_matrix matrix = bg_matrix_of(w, OUTPUTS, INPUTS);
    matrix.second_moment = s.second_moment;
    if (!status)
        status = bg_reconstruct(&matrix, &spec, w, hat, &measure, NULL, e);
    bg_activations_free(&s);
    free(w);
    free(hat);
    return status;
}

/* Σ in double, its factor in float, the weights before and after: no second Σ (+38 MB as a triangle or in float). */
static void one_moment_and_its_factor(void **state)
{
    (void)state;
    static const shape s = {128, 4, 64, 1, 128};
    const job j = {&s, 1, 1, 0, "uniform:bits=4,scope=128,round=gptq"};
    make_model(&s);
    double n = INPUTS;
    at_most("gptq", growth(&j, gptq), 12 * n * n + 8 * n * OUTPUTS + 2 * SLACK);
}

/* ---- a pass ---- */

static int take(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)self, (void)first, (void)n, (void)logits, (void)e;
    return BG_OK;
}

static int forward(bg_model *m, const int32_t *ids, const job *j, bg_err *e)
{
    bg_batch b = {ids, &j->length, 1};
    int status = bg_model_load(m, e);
    return status ? status : bg_model_forward(m, &b, NULL, take, NULL, e);
}

/* The weights, one layer's activations, one block of logits: not all logits (+243 MB), not every layer's activations
 * (+93), not all scores of attention (+16). */
static void a_pass_is_streamed(void **state)
{
    (void)state;
    static const shape s = {64, 4, 2048, 6, 65536};
    const job j = {&s, 1, 1024, 0, NULL};
    make_model(&s);
    double weights = 4.0 * s.vocab * s.hidden + s.layers * layer_bytes(&s), logits = 4.0 * (6 << 20);
    at_most("forward", growth(&j, forward),
            weights + activations(&s, j.length) + 4.0 * j.length * s.hidden + logits + SLACK);
}

static int make(void **state)
{
    (void)state;
    return !mkdtemp(scratch_directory);
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {"model.safetensors", "config.json", "k.bin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(scratch(names[i]));
    return rmdir(scratch_directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_layer_and_its_moments), cmocka_unit_test(samples_need_no_memory),
        cmocka_unit_test(one_moment_and_its_factor), cmocka_unit_test(a_pass_is_streamed)};
    return cmocka_run_group_tests(tests, make, clean);
}
