/* LMDB environments: opening with suspicion, setting aside what is damaged.
 *
 * Flags. MDB_NOTLS: a read transaction belongs to its reader, not to its thread. MDB_NORDAHEAD: lookups are random.
 * MDB_NOMETASYNC (cache): one fdatasync a commit instead of two. A killed process loses nothing, since the kernel has
 * the pages; a power cut may undo the last commit but never leaves half of one. The journal syncs both. Never
 * MDB_WRITEMAP: a full disk shall be an error code, not a SIGBUS. */
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS_SPARE   16 /* statistics, the ledger, other processes that look */
#define SET_ASIDE_TRIES 100

_Thread_local jmp_buf *rm_store__guard;
_Thread_local bool rm_store__reading;

rm_status rm_store__status_of(int rc)
{
    static const struct {
        int rc;
        rm_status status;
    } map[] = {
        {MDB_SUCCESS, RM_OK},
        {MDB_NOTFOUND, RM_ENOTFOUND},
        {MDB_MAP_FULL, RM_EFULL},
        {MDB_TXN_FULL, RM_EFULL},
        {ENOSPC, RM_EFULL},
        {EDQUOT, RM_EFULL},
        {ENOMEM, RM_ENOMEM},
        {MDB_READERS_FULL, RM_EBUSY},
        {MDB_INVALID, RM_ECORRUPT},
        {MDB_VERSION_MISMATCH, RM_ECORRUPT},
        {MDB_CORRUPTED, RM_ECORRUPT},
        {MDB_PAGE_NOTFOUND, RM_ECORRUPT},
        {MDB_PAGE_FULL, RM_ECORRUPT},
        {MDB_CURSOR_FULL, RM_ECORRUPT},
        {MDB_INCOMPATIBLE, RM_ECORRUPT},
        {MDB_BAD_DBI, RM_ECORRUPT},
        {MDB_BAD_TXN, RM_ECORRUPT},
        {MDB_PANIC, RM_ECORRUPT},
    };
    for (size_t i = 0; i < RM_COUNT(map); i++)
        if (map[i].rc == rc)
            return map[i].status;
    return RM_EIO;
}

static void on_assert(MDB_env *env, const char *message)
{
    (void)env;
    rm_log(RM_LOG_ERROR, "store", "damaged: %s", message);
    if (rm_store__guard)
        longjmp(*rm_store__guard, 1);
}

static char *join(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = rm_alloc(bytes);
    if (path)
        snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

static bool exists(const char *folder, const char *name)
{
    char *path = join(folder, name);
    bool found = path && access(path, F_OK) == 0;
    rm_free(path);
    return found;
}

uint64_t rm_store__env_file_bytes(const rm_store__env *env)
{
    MDB_envinfo info;
    if (!env->env || mdb_env_info(env->env, &info))
        return 0;
    return ((uint64_t)info.me_last_pgno + 1) * env->page_bytes;
}

static rm_status lengthen(const rm_store__env *env)
{
    int fd;
    if (mdb_env_get_fd(env->env, &fd))
        return RM_EIO;
    return ftruncate(fd, (off_t)env->map_bytes) ? rm_store__status_of(errno) : RM_OK;
}

rm_status rm_store__env_grow(rm_store__env *env, uint64_t more_bytes)
{
    uint64_t bytes = rm_store__env_file_bytes(env) + more_bytes;
    if (bytes <= env->map_bytes)
        return RM_OK;
    if (mdb_env_set_mapsize(env->env, bytes))
        return RM_EIO;
    env->map_bytes = bytes;
    return lengthen(env);
}

/* A file shorter than its pages would be a SIGBUS later. LMDB itself may leave its end unwritten where a transaction
 * took pages and gave them back; so the writer makes the file as long as the map, sparse, and any shorter file is cut.
 */
static rm_status check_length(rm_store__env *env, bool read_only)
{
    MDB_stat tree;
    MDB_envinfo info;
    struct stat file;
    int fd;
    if (mdb_env_stat(env->env, &tree) || mdb_env_info(env->env, &info) || mdb_env_get_fd(env->env, &fd) ||
        fstat(fd, &file))
        return RM_EIO;
    env->page_bytes = tree.ms_psize;
    env->map_bytes = info.me_mapsize;
    if ((uint64_t)file.st_size < rm_store__env_file_bytes(env))
        return RM_ECORRUPT;
    return read_only || (uint64_t)file.st_size >= env->map_bytes ? RM_OK : lengthen(env);
}

static rm_status env_begin(rm_store__env *env, unsigned flags, unsigned dbs, bool read_only)
{
    int rc = mdb_env_create(&env->env);
    if (rc) {
        env->env = NULL;
        return rm_store__status_of(rc);
    }
    mdb_env_set_assert(env->env, on_assert);
    rc = mdb_env_set_maxreaders(env->env, RM_STORE_READERS_MAX + READERS_SPARE);
    rc = rc ? rc : mdb_env_set_maxdbs(env->env, dbs);
    if (!rc && !read_only) /* who looks takes the writer's size */
        rc = mdb_env_set_mapsize(env->env, env->map_bytes);
    rc = rc ? rc : mdb_env_open(env->env, env->path, flags, 0600);
    return rc ? rm_store__status_of(rc) : check_length(env, read_only);
}

int rm_store__make_folder(const char *path)
{
    char *part = rm_strdup(path);
    int failed = part ? 0 : -1;
    for (char *at = part; !failed && at && *at; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        failed = mkdir(part, 0700) && errno != EEXIST;
        *at = '/';
    }
    rm_free(part);
    if (!failed)
        failed = mkdir(path, 0700) && errno != EEXIST;
    return failed ? -1 : 0;
}

rm_status rm_store__env_open(rm_store__env *env, const char *path, uint64_t map_bytes, unsigned dbs, bool read_only)
{
    bool is_cache = dbs > 1;
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (is_cache ? MDB_NOMETASYNC : 0) | (read_only ? MDB_RDONLY : 0);
    memset(env, 0, sizeof(*env));
    if (read_only && !exists(path, "data.mdb"))
        return RM_ENOTFOUND;
    if (!read_only && rm_store__make_folder(path)) {
        rm_log(RM_LOG_ERROR, "store", "%s: cannot be made: %s", path, strerror(errno));
        return RM_EIO;
    }
    if (exists(path, "damaged"))
        return RM_ECORRUPT;
    env->map_bytes = map_bytes;
    env->path = rm_strdup(path);
    rm_status status = env->path ? env_begin(env, flags, dbs, read_only) : RM_ENOMEM;
    if (status)
        rm_store__env_close(env);
    return status;
}

void rm_store__env_close(rm_store__env *env)
{
    if (env->env)
        mdb_env_close(env->env);
    rm_free(env->path);
    memset(env, 0, sizeof(*env));
}

void rm_store__env_mark_damaged(const rm_store__env *env)
{
    char *path = env->path ? join(env->path, "damaged") : NULL;
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    rm_free(path);
}

/* Removes an environment that was set aside: the files that LMDB and this module make, then the folder if empty. */
static void remove_env(const char *path)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "damaged", "semantic.index", "semantic.index.tmp"};
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        char *file = join(path, names[i]);
        if (file)
            unlink(file);
        rm_free(file);
    }
    rmdir(path);
}

/* Of path.damaged-<digits> removes all but `kept`, so that damage that comes again does not fill the disk. */
static void remove_older(const char *path, const char *kept)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return;
    char *folder = rm_slice_dup(rm_slice_make(path, (size_t)(slash - path)));
    DIR *dir = folder ? opendir(folder) : NULL;
    size_t base = strlen(slash + 1);
    for (struct dirent *item; dir && (item = readdir(dir));) {
        const char *digits = item->d_name + base + strlen(".damaged-");
        if (strncmp(item->d_name, slash + 1, base) || strncmp(item->d_name + base, ".damaged-", 9) || !*digits ||
            digits[strspn(digits, "0123456789")])
            continue;
        char *old = join(folder, item->d_name);
        if (old && strcmp(old, kept) != 0)
            remove_env(old);
        rm_free(old);
    }
    if (dir)
        closedir(dir);
    rm_free(folder);
}

rm_status rm_store__env_set_aside(const char *path, uint64_t wall_ms, bool keep_one)
{
    size_t bytes = strlen(path) + sizeof(".damaged-18446744073709551615");
    char *aside = rm_alloc(bytes);
    if (!aside)
        return RM_ENOMEM;
    int failed = 1;
    for (uint64_t i = 0; failed && i < SET_ASIDE_TRIES; i++) { /* twice in a second: the next free name */
        snprintf(aside, bytes, "%s.damaged-%llu", path, (unsigned long long)wall_ms / 1000 + i);
        failed = rename(path, aside);
        if (failed && errno != ENOTEMPTY && errno != EEXIST)
            break;
    }
    if (failed)
        rm_log(RM_LOG_ERROR, "store", "%s: damaged, and cannot be renamed: %s", path, strerror(errno));
    else
        rm_log(RM_LOG_WARN, "store", "%s: damaged or of another version; set aside as %s, a fresh one begins", path,
               aside);
    if (!failed && keep_one)
        remove_older(path, aside);
    rm_free(aside);
    return failed ? RM_EIO : RM_OK;
}
