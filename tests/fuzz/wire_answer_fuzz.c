/* Any bytes as an answer: whole, and cut and paused as the first byte says, it must come to the same. */
#include <stdint.h>

#include "remora/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    rm_http_answer *answer;
    rm_buf lines, data;
    int status;
    unsigned pause_every, events;
    bool paused;
};

static void pause_maybe(struct run *run)
{
    run->paused = run->pause_every && ++run->events % run->pause_every == 0;
    if (run->paused)
        rm_http_answer_pause(run->answer);
}

static bool on_head(void *user, int status)
{
    struct run *run = user;
    RM_CHECK(run->status == 0 && status >= 200);
    run->status = status;
    pause_maybe(run);
    return true;
}

static bool on_data(void *user, rm_slice bytes)
{
    struct run *run = user;
    RM_CHECK(run->status != 0 && !run->paused && bytes.len > 0);
    rm_buf_append_slice(&run->data, bytes);
    pause_maybe(run);
    return true;
}

static const rm_http_answer_events events = {on_head, on_data};

/* The bytes taken; *ret_status is the verdict, the connection's end counted. */
static size_t feed(struct run *run, rm_slice bytes, size_t step, rm_status *ret_status)
{
    size_t at = 0;
    rm_status status = RM_OK;
    rm_http_answer_begin(run->answer, false, &run->lines, run);
    while (status == RM_OK && !rm_http_answer_complete(run->answer) && (at < bytes.len || run->paused)) {
        size_t len = bytes.len - at < step ? bytes.len - at : step, used = 0;
        run->paused = false;
        status = rm_http_answer_feed(run->answer, rm_slice_make(bytes.ptr + at, len), &used);
        RM_CHECK(used <= len);
        RM_CHECK(used > 0 || run->paused || len == 0 || status != RM_OK || rm_http_answer_complete(run->answer));
        at += used;
    }
    *ret_status = status == RM_OK ? rm_http_answer_end(run->answer) : status;
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct run runs[2] = {{.pause_every = 0}, {.pause_every = data[0] % 4}};
    size_t steps[2] = {size, 1 + data[0] / 4}, used[2];
    rm_status status[2];
    for (unsigned i = 0; i < 2; i++) {
        rm_buf_init(&runs[i].lines, 4096);
        rm_buf_init(&runs[i].data, RM_MIB);
        RM_CHECK((runs[i].answer = rm_http_answer_create(&events)) != NULL);
        used[i] = feed(&runs[i], rm_slice_make((const char *)data + 1, size - 1), steps[i], &status[i]);
    }
    RM_CHECK(status[0] == status[1] && runs[0].status == runs[1].status);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&runs[0].data), rm_buf_slice(&runs[1].data)));
    if (status[0] == RM_OK) {
        RM_CHECK(used[0] == used[1]);
        RM_CHECK(rm_slice_eq(rm_buf_slice(&runs[0].lines), rm_buf_slice(&runs[1].lines)));
        RM_CHECK(rm_http_answer_keep_alive(runs[0].answer) == rm_http_answer_keep_alive(runs[1].answer));
    }
    for (unsigned i = 0; i < 2; i++) {
        rm_http_answer_destroy(runs[i].answer);
        rm_buf_deinit(&runs[i].lines);
        rm_buf_deinit(&runs[i].data);
    }
    return 0;
}
