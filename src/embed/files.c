/* What the readers of a model's files share: why a file is refused, and the reading of small ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

rm_status rm_embed__refuse(rm_buf *why, rm_status status, const char *path, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (why)
        (void)rm_buf_appendf(why, "%s: %s", path, text);
    return status;
}

rm_status rm_embed__refuse_errno(rm_buf *why, int code, const char *path, const char *mend)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return rm_embed__refuse(why, RM_ENOTFOUND, path, "is missing; %s", mend);
    case ENOMEM:
        return rm_embed__refuse(why, RM_ENOMEM, path, "out of memory");
    case EISDIR:
        return rm_embed__refuse(why, RM_EIO, path, "is a folder, not a file");
    default: {
        char text[128];
        return rm_embed__refuse(why, RM_EIO, path, "cannot be read (%s); see to its permissions and its disk",
                                strerror_r(code, text, sizeof(text)));
    }
    }
}

rm_status rm_embed__path(const char *folder, const char *name, char path[RM_EMBED__PATH_BYTES], rm_buf *why)
{
    int len = snprintf(path, RM_EMBED__PATH_BYTES, "%s/%s", folder, name);
    if (len > 0 && len < RM_EMBED__PATH_BYTES)
        return RM_OK;
    return rm_embed__refuse(why, RM_ETOOBIG, name, "the folder's name is over %d bytes", RM_EMBED__PATH_BYTES);
}

/* Until the file's end; more than is allowed shows in the length. */
static rm_status read_all(int fd, size_t bytes_max, rm_buf *out)
{
    struct stat info;
    /* One byte more than it has, to see its end. */
    size_t first = fstat(fd, &info) == 0 && info.st_size > 0 ? (size_t)info.st_size + 1 : RM_EMBED__READ_SPARE;
    rm_status status = first > bytes_max + 1 ? RM_ETOOBIG : rm_buf_reserve(out, first);
    while (status == RM_OK) {
        ssize_t got = read(fd, out->ptr + out->len, out->cap - out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? RM_EIO : RM_OK;
        out->len += (size_t)got;
        status = out->len > bytes_max ? RM_ETOOBIG : rm_buf_reserve(out, 1);
    }
    return status;
}

rm_status rm_embed__read_file(const char *path, size_t bytes_max, const char *mend, rm_buf *out, rm_buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* the last: a pipe must not hold us up */
    if (fd < 0 && !mend && (errno == ENOENT || errno == ENOTDIR))
        return RM_ENOTFOUND;
    if (fd < 0)
        return rm_embed__refuse_errno(why, errno, path, mend ? mend : "");
    rm_status status = read_all(fd, bytes_max, out);
    int code = errno;
    (void)close(fd);
    if (status == RM_EIO)
        return rm_embed__refuse_errno(why, code, path, "");
    if (status == RM_ENOMEM)
        return rm_embed__refuse(why, status, path, "out of memory");
    if (status == RM_ETOOBIG)
        return rm_embed__refuse(why, status, path, "has over %zu bytes, which no such file has; get it again",
                                bytes_max);
    return status;
}
