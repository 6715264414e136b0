/* Writes a synthetic checkpoint of the shape of Llama-3.2-1B: config.json and bf16 safetensors in shards of about 700
 * MB.
 *
 *     make_checkpoint DIR            1,235,814,400 weights, 2.47 GB
 *     make_checkpoint DIR --eighth   the same matrices, 2 layers, an eighth of the vocabulary
 *     make_checkpoint DIR --135m     the shape of SmolLM2-135M (forward pass)
 *
 * Weights have heavy tails: w = scale · row · column · z (1 + 0.03 z²), z standard normal, row and column factors
 * log-normal, one input channel in 512 four times as large; excess kurtosis about 4 to 6. Every row has a stream of its
 * own, seeded by the tensor's name and the row's number: the same bytes every time and for any number of threads.
 */
#define _POSIX_C_SOURCE 200809L
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"

enum { MOST_TENSORS = 512, QUANTILES = 65536, SHARD_BYTES = 700 << 20, ROWS_AT_ONCE = 256 };
static const uint64_t SEED = 20240924;
static const double HEAVY = 0.03;

typedef struct shape {
    int hidden, layers, heads, kv_heads, ffn, vocab;
    double theta;
} shape;

typedef struct tensor {
    char name[96];
    int64_t rows, cols; /* cols 0: a vector of `rows` */
    int shard;
    uint64_t offset; /* in its shard */
} tensor;

typedef struct plan {
    shape s;
    tensor tensors[MOST_TENSORS];
    int n, shards;
    uint64_t shard_bytes[16], weights;
} plan;

static uint64_t mix(uint64_t x) /* splitmix64's output function */
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t next(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

static uint64_t stream(const char *name, int64_t row)
{
    uint64_t h = SEED;
    for (; *name; name++)
        h = mix(h ^ (unsigned char)*name);
    return mix(h + (uint64_t)row * 0x9e3779b97f4a7c15u);
}

/* Standard normal: two of 65,536 quantiles, so that the tails reach six sigma. */
static float quantile[QUANTILES];

static float normal(uint64_t bits)
{
    return (quantile[bits & 0xffff] + quantile[bits >> 16 & 0xffff]) * 0.70710678f;
}

static uint16_t bf16(float x) /* to nearest even */
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static void add(plan *p, const char *name, int64_t rows, int64_t cols)
{
    tensor *t = &p->tensors[p->n++];
    uint64_t n = (uint64_t)rows * (uint64_t)(cols ? cols : 1);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rows = rows;
    t->cols = cols;
    if (p->shard_bytes[p->shards - 1] && p->shard_bytes[p->shards - 1] + 2 * n > SHARD_BYTES)
        p->shards++;
    t->shard = p->shards - 1;
    t->offset = p->shard_bytes[t->shard];
    p->shard_bytes[t->shard] += 2 * n;
    p->weights += n;
}

static void make_plan(plan *p)
{
    const shape s = p->s;
    const int64_t kv = s.hidden / s.heads * s.kv_heads;
    const struct {
        const char *name;
        int64_t rows, cols;
    } layer[] = {{"input_layernorm", s.hidden, 0},         {"self_attn.q_proj", s.hidden, s.hidden},
                 {"self_attn.k_proj", kv, s.hidden},       {"self_attn.v_proj", kv, s.hidden},
                 {"self_attn.o_proj", s.hidden, s.hidden}, {"post_attention_layernorm", s.hidden, 0},
                 {"mlp.gate_proj", s.ffn, s.hidden},       {"mlp.up_proj", s.ffn, s.hidden},
                 {"mlp.down_proj", s.hidden, s.ffn}};
    p->shards = 1;
    add(p, "model.embed_tokens.weight", s.vocab, s.hidden);
    for (int l = 0; l < s.layers; l++)
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
            char name[96];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, layer[i].name);
            add(p, name, layer[i].rows, layer[i].cols);
        }
    add(p, "model.norm.weight", s.hidden, 0);
}

/* Input-channel factors of a tensor; its output scale times 1/σ of the heavy-tailed law is left to the rows. */
static float *columns(const tensor *t)
{
    float *c = malloc((size_t)t->cols * sizeof *c);
    uint64_t state = stream(t->name, -1);
    for (int64_t j = 0; c && j < t->cols; j++) {
        uint64_t bits = next(&state);
        c[j] = (float)exp(0.15 * (double)normal(bits)) * (bits >> 55 ? 1.0f : 4.0f); /* 9 bits zero: one in 512 */
    }
    return c;
}

static double scale_of(const tensor *t)
{
    double into_residual = strstr(t->name, "o_proj") || strstr(t->name, "down_proj") ? 2 : 1;
    double sigma = strstr(t->name, "embed") ? 0.02 : 0.8 / sqrt((double)t->cols) / into_residual;
    return sigma / sqrt(1 + 6 * HEAVY + 15 * HEAVY * HEAVY);
}

static void fill_row(const tensor *t, int64_t row, const float *column, double scale, uint16_t *out)
{
    uint64_t state = stream(t->name, row);
    float factor = (float)(scale * exp(0.20 * (double)normal(next(&state))));
    for (int64_t j = 0; j < t->cols; j++) {
        float z = normal(next(&state));
        out[j] = bf16(factor * column[j] * (z * (1 + (float)HEAVY * z * z)));
    }
}

static int write_matrix(const tensor *t, FILE *f)
{
    uint16_t *rows = malloc((size_t)ROWS_AT_ONCE * (size_t)t->cols * sizeof *rows);
    float *column = columns(t);
    int good = rows && column;
    for (int64_t first = 0; good && first < t->rows; first += ROWS_AT_ONCE) {
        int64_t n = t->rows - first < ROWS_AT_ONCE ? t->rows - first : ROWS_AT_ONCE;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++)
            fill_row(t, first + i, column, scale_of(t), rows + i * t->cols);
        good = fwrite(rows, sizeof *rows, (size_t)(n * t->cols), f) == (size_t)(n * t->cols);
    }
    free(rows);
    free(column);
    return good;
}

static int write_vector(const tensor *t, FILE *f)
{
    uint64_t state = stream(t->name, -1);
    int good = 1;
    for (int64_t i = 0; good && i < t->rows; i++) {
        uint16_t w = bf16(1.0f + 0.1f * normal(next(&state)));
        good = fwrite(&w, sizeof w, 1, f) == 1;
    }
    return good;
}

static void header(const plan *p, int shard, FILE *f)
{
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", f);
    for (int i = 0; i < p->n; i++) {
        const tensor *t = &p->tensors[i];
        if (t->shard != shard)
            continue;
        uint64_t bytes = 2 * (uint64_t)t->rows * (uint64_t)(t->cols ? t->cols : 1);
        fprintf(f, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%lld", t->name, (long long)t->rows);
        if (t->cols)
            fprintf(f, ",%lld", (long long)t->cols);
        fprintf(f, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)t->offset,
                (unsigned long long)(t->offset + bytes));
    }
    fputc('}', f);
}

static void shard_name(const plan *p, int shard, char *out, size_t size)
{
    if (p->shards == 1)
        snprintf(out, size, "model.safetensors");
    else
        snprintf(out, size, "model-%05d-of-%05d.safetensors", shard + 1, p->shards);
}

static int write_shard(const plan *p, const char *directory, int shard, bg_err *e)
{
    char name[64], *text = NULL;
    size_t length = 0;
    shard_name(p, shard, name, sizeof name);
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return bg_no_memory(e, "header", 0);
    header(p, shard, memory);
    fclose(memory);
    uint64_t padded = (length + 7) / 8 * 8;
    bg_out out = {0};
    char *path = bg_path_join(directory, name);
    int status = path ? bg_out_open(&out, path, e) : bg_no_memory(e, "path", 0);
    if (!status) {
        int good = fwrite(&padded, sizeof padded, 1, out.file) == 1 && fprintf(out.file, "%-*s", (int)padded, text) > 0;
        for (int i = 0; good && i < p->n; i++)
            if (p->tensors[i].shard == shard)
                good = (p->tensors[i].cols ? write_matrix : write_vector)(&p->tensors[i], out.file);
        status = good ? bg_out_commit(&out, e) : bg_fail(e, BG_RESOURCE, "%s: cannot write; is the disk full?", path);
    }
    bg_out_abandon(&out);
    free(path);
    free(text);
    return status;
}

static int write_index(const plan *p, FILE *f)
{
    fprintf(f, "{\"metadata\":{\"total_size\":%llu},\"weight_map\":{", 2 * (unsigned long long)p->weights);
    for (int i = 0; i < p->n; i++) {
        char name[64];
        shard_name(p, p->tensors[i].shard, name, sizeof name);
        fprintf(f, "%s\"%s\":\"%s\"", i ? "," : "", p->tensors[i].name, name);
    }
    return fputs("}}\n", f);
}

static int write_config(const plan *p, FILE *f)
{
    const shape *s = &p->s;
    return fprintf(
        f,
        "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_act\":\"silu\",\"hidden_size\":%d,"
        "\"intermediate_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,"
        "\"head_dim\":%d,\"vocab_size\":%d,\"max_position_embeddings\":8192,\"rms_norm_eps\":1e-05,"
        "\"rope_theta\":%.1f,\"tie_word_embeddings\":true,\"attention_bias\":false,\"mlp_bias\":false,"
        "\"bos_token_id\":1,\"eos_token_id\":2,\"torch_dtype\":\"bfloat16\"}\n",
        s->hidden, s->ffn, s->layers, s->heads, s->kv_heads, s->hidden / s->heads, s->vocab, s->theta);
}

static int write_json(const plan *p, const char *directory, const char *name, int (*write)(const plan *, FILE *),
                      bg_err *e)
{
    bg_out out = {0};
    char *path = bg_path_join(directory, name);
    int status = path ? bg_out_open(&out, path, e) : bg_no_memory(e, "path", 0);
    if (!status) {
        write(p, out.file);
        status = bg_out_commit(&out, e);
    }
    free(path);
    return status;
}

int main(int argc, char **argv)
{
    static plan p = {.s = {2048, 16, 32, 8, 8192, 128256, 500000.0}};
    bg_err e = {0};
    const char *kind = argc > 2 ? argv[2] : "";
    if (argc < 2 || argc > 3 || (*kind && strcmp(kind, "--eighth") && strcmp(kind, "--135m"))) {
        fputs("usage: make_checkpoint DIR [--eighth | --135m]\n", stderr);
        return BG_USAGE;
    }
    if (!strcmp(kind, "--eighth")) {
        p.s.layers /= 8;
        p.s.vocab /= 8;
    } else if (*kind) {
        p.s = (shape){576, 30, 9, 3, 1536, 49152, 100000.0};
    }
    for (int i = 0; i < QUANTILES; i++)
        quantile[i] = (float)gsl_cdf_ugaussian_Pinv((i + 0.5) / QUANTILES);
    make_plan(&p);
    int status = bg_make_directories(argv[1], &e);
    for (int shard = 0; !status && shard < p.shards; shard++)
        status = write_shard(&p, argv[1], shard, &e);
    if (!status && p.shards > 1)
        status = write_json(&p, argv[1], "model.safetensors.index.json", write_index, &e);
    if (!status)
        status = write_json(&p, argv[1], "config.json", write_config, &e);
    if (status)
        fprintf(stderr, "make_checkpoint: %s\n", e.text);
    else
        printf("%llu weights in %d file%s\n", (unsigned long long)p.weights, p.shards, p.shards > 1 ? "s" : "");
    return status;
}
