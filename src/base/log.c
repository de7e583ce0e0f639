/* The diagnostic log: each line is formed on the stack and written by one write(2), so lines never mix. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "remora/base.h"

#define LINE_BYTES_MAX  2048 /* a longer text is cut */
#define LIMIT_PERIOD_NS (10ULL * 1000 * 1000 * 1000)

static _Atomic int level_max = RM_LOG_INFO;

void rm_log_set_level(rm_log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

static size_t clamp(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

/* A whole line or as much of it as standard error takes; who reads it is not our business. */
static void write_line(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    }
    line[len++] = '\n';
    for (size_t done = 0; done < len;) {
        ssize_t wrote = write(STDERR_FILENO, line + done, len - done);
        if (wrote <= 0)
            return;
        done += (size_t)wrote;
    }
}

static size_t format_head(char *line, size_t room, rm_log_level level, const char *module)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    len += clamp(snprintf(line + len, room - len, ".%03ldZ %s %s: ", now.tv_nsec / 1000000, levels[level], module),
                 room - len);
    return len;
}

void rm_log(rm_log_level level, const char *module, const char *format, ...)
{
    char line[LINE_BYTES_MAX + 1];
    if ((int)level < 0 || (int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
        return;
    size_t len = format_head(line, LINE_BYTES_MAX, level, module);
    va_list args;
    va_start(args, format);
    len += clamp(vsnprintf(line + len, LINE_BYTES_MAX - len, format, args), LINE_BYTES_MAX - len);
    va_end(args);
    write_line(line, len);
}

bool rm_log_due(_Atomic uint64_t *next_ns)
{
    const rm_clock *clock = rm_clock_system();
    uint64_t now = clock->mono_ns(clock);
    uint64_t next = atomic_load_explicit(next_ns, memory_order_relaxed);
    return now >= next && atomic_compare_exchange_strong_explicit(next_ns, &next, now + LIMIT_PERIOD_NS,
                                                                  memory_order_relaxed, memory_order_relaxed);
}

_Noreturn void rm_base_check_failed(const char *cond, const char *file, int line)
{
    rm_log(RM_LOG_ERROR, "base", "check failed: %s at %s:%d", cond, file, line);
    abort();
}
