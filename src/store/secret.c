/* The per-install secret: 32 random bytes that only the owner may read, complete from the moment it has its name. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES 32

/* RM_ENOTFOUND: there is none yet. */
static rm_status read_secret(const char *path, uint8_t ret_secret[SECRET_BYTES])
{
    uint8_t bytes[SECRET_BYTES + 1];
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENOENT)
            return RM_ENOTFOUND;
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be read: %s", path, strerror(errno));
        return RM_EIO;
    }
    ssize_t got = read(fd, bytes, sizeof(bytes));
    if (!fstat(fd, &file) && (file.st_mode & 077))
        rm_log(RM_LOG_WARN, "store", "%s: others may read it; mend: chmod 600", path);
    close(fd);
    if (got != SECRET_BYTES) {
        rm_log(RM_LOG_ERROR, "store",
               "%s: has not %d bytes; restore it, or remove it to begin with a new one (cached answers are lost to "
               "their callers then)",
               path, SECRET_BYTES);
        return RM_EIO;
    }
    memcpy(ret_secret, bytes, SECRET_BYTES);
    return RM_OK;
}

static rm_status write_all(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return RM_EIO;
    bool fine = write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;
    fine = close(fd) == 0 && fine;
    return fine ? RM_OK : RM_EIO;
}

/* The folder's entry for the name is on disk only after this. */
static void sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* Under a name of its own first, then linked: of two processes one link wins, and both read that one. */
static rm_status make_secret(const char *folder, const char *path)
{
    uint8_t secret[SECRET_BYTES], name[8];
    size_t bytes = strlen(path) + 2 * sizeof(name) + 2;
    char *draft = rm_alloc(bytes);
    if (!draft)
        return RM_ENOMEM;
    rm_status status = rm_random_bytes(secret, sizeof(secret));
    status = status ? status : rm_random_bytes(name, sizeof(name));
    if (!status) {
        int at = snprintf(draft, bytes, "%s.", path);
        for (size_t i = 0; i < sizeof(name); i++, at += 2)
            snprintf(draft + at, bytes - (size_t)at, "%02x", name[i]);
        status = write_all(draft, secret, sizeof(secret));
        if (!status && link(draft, path) && errno != EEXIST)
            status = RM_EIO;
        if (status)
            rm_log(RM_LOG_ERROR, "store", "%s: cannot be made: %s", path, strerror(errno));
        unlink(draft);
        sync_folder(folder);
    }
    rm_free(draft);
    return status;
}

rm_status rm_store_secret(const char *folder, uint8_t ret_secret[32])
{
    size_t bytes = strlen(folder) + sizeof("/secret");
    char *path = rm_alloc(bytes);
    if (!path)
        return RM_ENOMEM;
    snprintf(path, bytes, "%s/secret", folder);
    if (rm_store__make_folder(folder))
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be made: %s", folder, strerror(errno));
    rm_status status = read_secret(path, ret_secret);
    if (status == RM_ENOTFOUND) {
        status = make_secret(folder, path);
        if (!status)
            status = read_secret(path, ret_secret);
        if (status == RM_ENOTFOUND)
            status = RM_EIO;
    }
    rm_free(path);
    return status;
}
