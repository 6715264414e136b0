/* Owns the lookup of `org/name` in the local Hugging Face cache:
 *
 *     CACHE/models--org--name/refs/main        holds a revision
 *     CACHE/models--org--name/snapshots/REV/   is the model's directory
 *
 * CACHE is HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub
 * (huggingface_hub, constants.py). Nothing is ever fetched.
 */
#define _GNU_SOURCE
#include "io/checkpoints/loading.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* One component of a path, from outside: letters, digits and "._-", no leading dot. */
static int plain(const char *s, size_t n)
{
    if (!n || n > 128 || *s == '.')
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
            return 0;
    return 1;
}

static char *cache_directory(void)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        char *path;
        if (value && *value)
            return asprintf(&path, "%s%s", value, places[i].below) < 0 ? NULL : path;
    }
    return NULL;
}

char *bg_hub_find(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash || !plain(name, (size_t)(slash - name)) || !plain(slash + 1, strlen(slash + 1)))
        return NULL;
    char *cache = cache_directory(), *reference = NULL, *revision = NULL, *path = NULL;
    size_t n = 0;
    if (cache && asprintf(&reference, "%s/models--%.*s--%s/refs/main", cache, (int)(slash - name), name, slash + 1) < 0)
        reference = NULL;
    if (reference && bg_is_file(reference) && !bg_file_read(reference, 256, &revision, &n, NULL)) {
        while (n && isspace((unsigned char)revision[n - 1]))
            revision[--n] = 0;
        if (!plain(revision, n) || asprintf(&path, "%s/models--%.*s--%s/snapshots/%s", cache, (int)(slash - name), name,
                                            slash + 1, revision) < 0)
            path = NULL;
    }
    if (path && !bg_is_directory(path)) {
        free(path);
        path = NULL;
    }
    free(cache);
    free(reference);
    free(revision);
    return path;
}
