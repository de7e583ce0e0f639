/* The prompts that load asks: a file's, or the built-in set. */
#include <stdlib.h>

#include "bench_internal.h"

static rm_status allocate(rm_bench_prompts *prompts, size_t texts, size_t groups)
{
    prompts->texts = rm_calloc(texts, sizeof(*prompts->texts));
    prompts->groups = rm_calloc(groups, sizeof(*prompts->groups));
    return prompts->texts && prompts->groups ? RM_OK : RM_ENOMEM;
}

static void add_text(rm_bench_prompts *prompts, rm_slice text)
{
    prompts->texts[prompts->text_count++] = text;
    prompts->groups[prompts->group_count - 1].count++;
}

static void begin_group(rm_bench_prompts *prompts)
{
    prompts->groups[prompts->group_count++] = (rm_bench_group){(uint32_t)prompts->text_count, 0};
}

static rm_status load_built_in(rm_bench_prompts *prompts)
{
    if (allocate(prompts, RM_BENCH_BUILT_IN_GROUPS * RM_BENCH_GROUP_PHRASINGS, RM_BENCH_BUILT_IN_GROUPS) != RM_OK)
        return RM_ENOMEM;
    for (size_t group = 0; group < RM_BENCH_BUILT_IN_GROUPS; group++) {
        begin_group(prompts);
        for (size_t i = 0; i < RM_BENCH_GROUP_PHRASINGS && rm_bench__built_in[group][i]; i++)
            add_text(prompts, rm_slice_cstr(rm_bench__built_in[group][i]));
    }
    return RM_OK;
}

static rm_status read_file(const char *path, char **ret_bytes, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return RM_EIO;
    rm_status status = RM_EIO;
    char *bytes = NULL;
    long size;
    if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        goto out;
    status = RM_ETOOBIG;
    if ((uint64_t)size > RM_BENCH_PROMPT_FILE_MAX)
        goto out;
    status = RM_ENOMEM;
    if (!(bytes = rm_alloc((size_t)size)))
        goto out;
    status = RM_EIO;
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size)
        goto out;
    *ret_bytes = bytes;
    *ret_len = (size_t)size;
    bytes = NULL;
    status = RM_OK;
out:
    rm_free(bytes);
    fclose(file);
    return status;
}

static rm_status load_file(const char *path, rm_bench_prompts *prompts)
{
    size_t len = 0;
    rm_status status = read_file(path, &prompts->file_bytes, &len);
    if (status != RM_OK)
        return status;
    size_t texts = 1, groups = 1;
    for (size_t i = 0; i < len; i++) {
        groups += prompts->file_bytes[i] == '\n';
        texts += prompts->file_bytes[i] == '\n' || prompts->file_bytes[i] == '\t';
    }
    if (texts > RM_BENCH_PROMPTS_MAX)
        return RM_ETOOBIG;
    if (allocate(prompts, texts, groups) != RM_OK)
        return RM_ENOMEM;
    rm_slice rest = {prompts->file_bytes, len}, line, text;
    while (rm_slice_split(&rest, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (rm_slice_trim(line).len == 0)
            continue;
        begin_group(prompts);
        while (rm_slice_split(&line, '\t', &text))
            if (text.len > 0)
                add_text(prompts, text);
    }
    return prompts->text_count > 0 ? RM_OK : RM_EINVAL;
}

rm_status rm_bench__prompts_load(const char *path, rm_bench_prompts *ret_prompts)
{
    rm_bench_prompts prompts = {0};
    rm_status status = path ? load_file(path, &prompts) : load_built_in(&prompts);
    if (status != RM_OK) {
        rm_bench__prompts_deinit(&prompts);
        return status;
    }
    *ret_prompts = prompts;
    return RM_OK;
}

void rm_bench__prompts_deinit(rm_bench_prompts *prompts)
{
    rm_free(prompts->texts);
    rm_free(prompts->groups);
    rm_free(prompts->file_bytes);
    *prompts = (rm_bench_prompts){0};
}
