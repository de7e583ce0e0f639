/* Loading: file -> text -> rows -> one struct that never changes. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "config_internal.h"

/* ---- mistakes ---------------------------------------------------------------------------------------------------- */

void rm_config_errors_init(rm_config_errors *errors)
{
    *errors = (rm_config_errors){0};
    rm_buf_init(&errors->text, (size_t)RM_CONFIG_ERRORS_MAX * (RM_CONFIG_ERROR_BYTES_MAX + 4096));
}

void rm_config_errors_deinit(rm_config_errors *errors)
{
    rm_buf_deinit(&errors->text);
}

/* ---- one configuration's life ------------------------------------------------------------------------------------ */

static rm_config *config_create(void)
{
    rm_config *config = rm_calloc(1, sizeof(*config));

    if (!config)
        return NULL;
    atomic_init(&config->refs, 1);
    rm_arena_init(&config->arena, NULL, RM_CONFIG_ARENA_BYTES_MAX);
    return config;
}

rm_config *rm_config_ref(rm_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void rm_config_unref(rm_config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) != 1)
        return;
    rm_arena_deinit(&config->arena);
    rm_free(config);
}

/* Cores this process may run on, a cpuset counted in. */
static unsigned usable_cores(void)
{
    cpu_set_t set;
    int count;

    CPU_ZERO(&set);
    count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > RM_LOOPS_MAX ? RM_LOOPS_MAX : (unsigned)count;
}

/* name NULL: no file, defaults alone. peek: mistakes are no reason to give nothing. */
static rm_status parse(const char *name, rm_slice text, bool peek, rm_config **ret_config, rm_config_errors *errors)
{
    rm_config_reader reader = {.file = name ? name : "(defaults)", .errors = errors, .config = config_create()};
    size_t mistakes = errors->count;
    rm_status status = RM_ENOMEM;

    rm_buf_init(&reader.value, RM_CONFIG_VALUE_BYTES_MAX);
    if (!reader.config || !rm_config__set_defaults(&reader, "", reader.config))
        goto out;
    if (name && !(reader.config->path = rm_arena_dup(&reader.config->arena, rm_slice_cstr(name)).ptr))
        goto out;
    status = rm_config__read(&reader, text);
    if (status == RM_OK)
        rm_config__finish(&reader);
    if (reader.fatal != RM_OK)
        status = reader.fatal;
    if (status == RM_OK && errors->count > mistakes && !peek)
        status = RM_EINVAL;
    if (reader.config->loops == 0)
        reader.config->loops = usable_cores();
    if (reader.config->embed.workers == 0)
        reader.config->embed.workers = usable_cores();
out:
    rm_buf_deinit(&reader.value);
    if (status == RM_ENOMEM)
        rm_config__mistake(&reader, 1, "(file)", "could not be read: out of memory; free some, or make it smaller");
    if (status == RM_OK)
        *ret_config = reader.config;
    else
        rm_config_unref(reader.config);
    return status;
}

static rm_status refuse_size(const char *name, rm_config_errors *errors)
{
    rm_config_reader reader = {.file = name, .errors = errors};

    rm_config__mistake(&reader, 1, "(file)", "is longer than %llu bytes; shorten it", RM_CONFIG_BYTES_MAX);
    return RM_EINVAL;
}

rm_status rm_config_parse(const char *name, rm_slice text, rm_config **ret_config, rm_config_errors *errors)
{
    if (text.len > RM_CONFIG_BYTES_MAX)
        return refuse_size(name, errors);
    return parse(name, text, false, ret_config, errors);
}

/* The whole file, or one byte more than is allowed. */
static rm_status read_file(const char *path, rm_buf *out)
{
    FILE *file = fopen(path, "re");
    size_t got;

    if (!file)
        return RM_EIO;
    rm_status status = rm_buf_reserve(out, RM_CONFIG_BYTES_MAX + 1);
    if (status == RM_OK) {
        errno = 0;
        got = fread(out->ptr, 1, RM_CONFIG_BYTES_MAX + 1, file);
        out->len = got;
        status = ferror(file) ? RM_EIO : RM_OK;
    }
    int saved = errno;
    (void)fclose(file);
    errno = saved;
    return status;
}

static rm_status load(const char *path, bool peek, rm_config **ret_config, rm_config_errors *errors)
{
    rm_config_reader reader = {.file = path, .errors = errors};
    rm_status status;
    rm_buf text;

    if (!path)
        return parse(NULL, RM_SLICE_NONE, peek, ret_config, errors);
    rm_buf_init(&text, RM_CONFIG_BYTES_MAX + 1);
    status = read_file(path, &text);
    if (status == RM_OK && text.len > RM_CONFIG_BYTES_MAX)
        status = refuse_size(path, errors);
    else if (status == RM_OK)
        status = parse(path, rm_buf_slice(&text), peek, ret_config, errors);
    else
        rm_config__mistake(&reader, 1, "(file)", "cannot be read (%s); name a readable file with -c FILE",
                           status == RM_EIO ? strerror(errno) : rm_status_text(status));
    rm_buf_deinit(&text);
    return status;
}

rm_status rm_config_load(const char *path, rm_config **ret_config, rm_config_errors *errors)
{
    return load(path, false, ret_config, errors);
}

rm_status rm_config_peek(const char *path, rm_config **ret_config, rm_config_errors *errors)
{
    return load(path, true, ret_config, errors);
}

bool rm_config_uses_semantic(const rm_config *config)
{
    bool used = config->cache.semantic.mode != RM_MODE_OFF;

    for (size_t i = 0; i < config->cache.namespace_count; i++)
        used |= config->cache.namespaces[i].semantic != RM_MODE_OFF;
    return used;
}

const rm_config_model *rm_config_find_model(const rm_config *config, rm_slice name)
{
    size_t low = 0, high = config->model_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        rm_slice other = rm_slice_cstr(config->models[middle].name);
        size_t shorter = name.len < other.len ? name.len : other.len;
        int order = shorter ? memcmp(name.ptr, other.ptr, shorter) : 0;
        if (order == 0)
            order = name.len < other.len ? -1 : name.len > other.len;
        if (order == 0)
            return &config->models[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
