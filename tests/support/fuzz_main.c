/* Replays inputs through a fuzz target without a fuzzer: each argument is a file, or a folder whose files (and those
 * of its folders) are taken. An input that cannot be read, and a run without any, fail: a corpus that got lost must
 * not look like a pass. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long replayed;

static int fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
}

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(path);
    /* Exactly as long as the input, so that the sanitizer sees a read past its end. */
    uint8_t *data = malloc(size ? size : 1);
    size_t got = data ? fread(data, 1, size, file) : 0;
    fclose(file);
    if (!data || got != size) {
        free(data);
        return fail(path);
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
    return 0;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), status = 0;
    if (count < 0)
        return fail(path);
    for (int i = 0; i < count; i++) {
        char inner[PATH_MAX];
        int len = snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(inner) && replay(inner) != 0)
            status = -1;
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return fail(path);
    return S_ISDIR(info.st_mode) ? replay_folder(path) : replay_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? 0 : -1;
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0)
            status = -1;
    }
    printf("%s: %lu inputs replayed\n", argv[0], replayed);
    return status == 0 && replayed > 0 ? 0 : 1;
}
