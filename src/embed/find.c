/* Where models lie. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "remora/embed.h"

static bool is_model(const char *folder)
{
    char path[PATH_MAX + sizeof("/config.json")];
    int len = snprintf(path, sizeof(path), "%s/config.json", folder);
    return len > 0 && (size_t)len < sizeof(path) && access(path, R_OK) == 0;
}

static bool is_in(const char *folder, const char *name, char *ret_folder, size_t folder_bytes)
{
    int len = snprintf(ret_folder, folder_bytes, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return len > 0 && (size_t)len < folder_bytes && is_model(ret_folder);
}

bool rm_model_find(const char *name, char *ret_folder, size_t folder_bytes)
{
    char program[PATH_MAX];
    const char *own = getenv("REMORA_MODELS");
    if (strchr(name, '/'))
        return is_in("", name, ret_folder, folder_bytes);
    if (own && own[0] && is_in(own, name, ret_folder, folder_bytes))
        return true;
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program));
    for (unsigned up = 0; up < 2; up++) {
        while (len > 0 && program[len - 1] != '/')
            len--;
        len -= len > 0;
    }
    if (len <= 0 || (size_t)len + sizeof("/models") > sizeof(program))
        return false;
    memcpy(program + len, "/models", sizeof("/models"));
    return is_in(program, name, ret_folder, folder_bytes);
}
