/* Owns the reading of a compiled spec: values as text, the name of its curve, what it needs. */
#include "quant/spec/spec.h"
#include <string.h>
#include "quant/spec/quantizer.h"

const bg_value *bg_spec_value(const bg_spec *s, const char *key)
{
    for (int i = 0; i < s->n_values; i++)
        if (!strcmp(s->values[i].key->name, key))
            return &s->values[i];
    return NULL;
}

const char *bg_spec_word(const bg_spec *s, const char *key)
{
    const bg_value *v = bg_spec_value(s, key);
    return v ? v->text : "";
}

int bg_spec_needs_calibration(const bg_spec *s)
{
    return s->transform->needs_calibration || s->rounding->needs_calibration || s->weighted ||
           (s->transform->looks_at_inputs && s->transform->looks_at_inputs(s));
}

int bg_spec_given(const bg_spec *s, const char *key)
{
    const bg_value *v = bg_spec_value(s, key);
    return v && v->given;
}

const char *bg_spec_quantizer(const bg_spec *s, char *buf)
{
    static const char *const curve_keys[] = {"bits=", "levels=", "rate="};
    char sep = ':';
    size_t at = (size_t)snprintf(buf, BG_SPEC_TEXT, "%s", s->name);
    const char *p = strchr(s->text, ':');
    while (p && *p) {
        size_t length = strcspn(++p, ",");
        int drop =
            !strncmp(p, "step=", 5) && p[5] >= '0' && p[5] <= '9'; /* what the rate of an entropy-coded grid hangs on */
        for (size_t k = 0; k < sizeof curve_keys / sizeof *curve_keys; k++)
            drop |= !strncmp(p, curve_keys[k], strlen(curve_keys[k]));
        if (!drop) {
            at += (size_t)snprintf(buf + at, BG_SPEC_TEXT - at, "%c%.*s", sep, (int)length, p);
            sep = ',';
        }
        p += length;
    }
    return buf;
}

int bg_spec_activations(const bg_spec *s, float *keep)
{
    *keep = s->transform->exact_inputs ? s->transform->exact_inputs(s) : 0;
    return s->activations;
}
