/* Merging in flight on one thread with an executor whose mailbox is run by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "remora/batch.h"

/* ---- a hand-cranked executor ---- */

typedef struct hand_exec {
    rm_exec exec;
    rm_task *first, **last;
} hand_exec;

static void hand_post(rm_exec *exec, rm_task *task)
{
    hand_exec *hand = (hand_exec *)exec;
    task->next = NULL;
    *hand->last = task;
    hand->last = &task->next;
}

static void hand_init(hand_exec *hand)
{
    memset(hand, 0, sizeof *hand);
    hand->exec.post = hand_post;
    hand->last = &hand->first;
}

static void hand_run(hand_exec *hand)
{
    while (hand->first) {
        rm_task *task = hand->first;
        hand->first = task->next;
        if (!hand->first)
            hand->last = &hand->first;
        task->run(task);
    }
}

/* ---- a caller that notes what it reads ---- */

typedef struct caller {
    rm_subscriber subscriber;
    char text[256];
    size_t len;
    unsigned ready, gone;
    bool ended, cut, lazy;
    rm_status status;
} caller;

static void drain(caller *to)
{
    for (;;) {
        rm_blob *chunk = NULL;
        rm_status status = RM_OK;
        switch (rm_flight_next(&to->subscriber, &chunk, &status)) {
        case RM_FLIGHT_WAIT:
            return;
        case RM_FLIGHT_CHUNK:
            if (to->len + chunk->len < sizeof to->text)
                memcpy(to->text + to->len, chunk->data, chunk->len);
            to->len += chunk->len;
            rm_blob_unref(chunk);
            break;
        case RM_FLIGHT_END:
            to->ended = true;
            to->status = status;
            return;
        case RM_FLIGHT_CUT:
            to->cut = true;
            return;
        }
    }
}

static void on_ready(rm_subscriber *subscriber)
{
    caller *to = RM_CONTAINER_OF(subscriber, caller, subscriber);
    to->ready++;
    if (!to->lazy)
        drain(to);
}

static void on_gone(rm_subscriber *subscriber)
{
    RM_CONTAINER_OF(subscriber, caller, subscriber)->gone++;
}

static void caller_init(caller *to, hand_exec *exec)
{
    memset(to, 0, sizeof *to);
    to->subscriber.exec = &exec->exec;
    to->subscriber.on_ready = on_ready;
}

/* ---- a publisher ---- */

typedef struct fixture {
    hand_exec here, there;
    rm_flights *flights;
    unsigned abandoned, demanded;
} fixture;

static void on_abandoned(void *user)
{
    ((fixture *)user)->abandoned++;
}

static void on_demand(void *user)
{
    ((fixture *)user)->demanded++;
}

static const rm_key128 key = {1, 2};

static rm_flight *create(fixture *f, bool keyed, bool keep, size_t bytes_max)
{
    rm_blob *canonical = rm_blob_create_copy(RM_SLICE("question"));
    rm_flight_options options = {
        .key = keyed ? &key : NULL,
        .canonical = canonical,
        .bytes_max = bytes_max,
        .keep = keep,
        .publisher = {&f->here.exec, on_abandoned, on_demand, f},
    };
    rm_flight *flight = NULL;
    assert_int_equal(rm_flight_create(f->flights, &options, &flight), RM_OK);
    rm_blob_unref(canonical);
    return flight;
}

static bool push(rm_flight *flight, const char *text)
{
    return rm_flight_push(flight, rm_blob_create_copy(rm_slice_cstr(text)));
}

static void push_bytes(rm_flight *flight, size_t len)
{
    rm_blob *blob = rm_blob_create(len);
    memset(blob->data, 'x', len);
    (void)rm_flight_push(flight, blob);
}

static int setup(void **state)
{
    fixture *f = rm_calloc(1, sizeof *f);
    hand_init(&f->here);
    hand_init(&f->there);
    f->flights = rm_flights_create();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    hand_run(&f->here);
    hand_run(&f->there);
    uint64_t flights, followers;
    rm_flights_count(f->flights, &flights, &followers);
    assert_int_equal(flights, 0);
    rm_flights_destroy(f->flights);
    rm_free(f);
    return 0;
}

/* ---- tests ---- */

static void test_one_caller_reads_all(void **state)
{
    fixture *f = *state;
    caller one;
    caller_init(&one, &f->here);
    rm_flight *flight = create(f, false, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    assert_null(rm_flight_head(&one.subscriber));
    rm_flight_set_head(flight, rm_blob_create_copy(RM_SLICE("head")));
    assert_non_null(rm_flight_head(&one.subscriber));
    assert_true(push(flight, "a"));
    rm_flight_wake(flight);
    assert_string_equal(one.text, "a");
    assert_true(push(flight, "b"));
    rm_flight_end(flight, RM_OK);
    rm_flight_wake(flight);
    assert_true(one.ended);
    assert_int_equal(one.status, RM_OK);
    assert_string_equal(one.text, "ab");
    assert_true(rm_flight_leave(&one.subscriber, on_gone));
    rm_flight_release(flight);
    assert_int_equal(f->abandoned, 0);
}

static void test_late_joiner_gets_all_on_another_executor(void **state)
{
    fixture *f = *state;
    caller one, two;
    caller_init(&one, &f->here);
    caller_init(&two, &f->there);
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    push(flight, "a");
    rm_flight_wake(flight);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_OK);
    drain(&two);
    assert_string_equal(two.text, "a");
    push(flight, "b");
    rm_flight_end(flight, RM_OK);
    rm_flight_wake(flight);
    assert_int_equal(two.ready, 0);
    hand_run(&f->there);
    assert_int_equal(two.ready, 1);
    assert_string_equal(two.text, "ab");
    assert_true(two.ended);
    assert_true(rm_flight_leave(&two.subscriber, on_gone));
    assert_true(rm_flight_leave(&one.subscriber, on_gone));
    rm_flight_release(flight);
}

static void test_other_question_of_the_same_key_does_not_join(void **state)
{
    fixture *f = *state;
    caller two;
    caller_init(&two, &f->here);
    rm_flight *flight = create(f, true, false, 1000);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("another"), &two.subscriber), RM_ENOTFOUND);
    assert_int_equal(rm_flight_join(f->flights, (rm_key128){9, 9}, RM_SLICE("question"), &two.subscriber),
                     RM_ENOTFOUND);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
}

static void test_second_flight_of_a_key_is_refused(void **state)
{
    fixture *f = *state;
    rm_flight *flight = create(f, true, false, 1000), *other = NULL;
    rm_blob *canonical = rm_blob_create_copy(RM_SLICE("question"));
    rm_flight_options options = {.key = &key, .canonical = canonical, .bytes_max = 1};
    assert_int_equal(rm_flight_create(f->flights, &options, &other), RM_EBUSY);
    rm_blob_unref(canonical);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
    flight = create(f, true, false, 1000);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
}

static void test_sealed_or_ended_takes_nobody(void **state)
{
    fixture *f = *state;
    caller two;
    caller_init(&two, &f->here);
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_seal(flight);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_ENOTFOUND);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
}

static void test_last_one_leaving_abandons(void **state)
{
    fixture *f = *state;
    caller one, two;
    caller_init(&one, &f->here);
    caller_init(&two, &f->there);
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_OK);
    assert_true(rm_flight_leave(&one.subscriber, on_gone));
    hand_run(&f->here);
    assert_int_equal(f->abandoned, 0);
    assert_true(rm_flight_leave(&two.subscriber, on_gone));
    assert_int_equal(f->abandoned, 0);
    hand_run(&f->here);
    assert_int_equal(f->abandoned, 1);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_ENOTFOUND);
    rm_flight_end(flight, RM_ECANCELLED);
    rm_flight_release(flight);
}

static void test_somebody_joins_before_the_abandonment_is_seen(void **state)
{
    fixture *f = *state;
    caller one, two;
    caller_init(&one, &f->here);
    caller_init(&two, &f->there);
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    assert_true(rm_flight_leave(&one.subscriber, on_gone));
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_OK);
    hand_run(&f->here);
    assert_int_equal(f->abandoned, 0);
    push(flight, "late");
    rm_flight_end(flight, RM_OK);
    rm_flight_wake(flight);
    hand_run(&f->there);
    assert_string_equal(two.text, "late");
    assert_true(rm_flight_leave(&two.subscriber, on_gone));
    rm_flight_release(flight);
}

static void test_leaving_with_a_task_in_the_mailbox(void **state)
{
    fixture *f = *state;
    caller one;
    caller_init(&one, &f->there);
    rm_flight *flight = create(f, false, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    push(flight, "a");
    rm_flight_wake(flight);
    assert_false(rm_flight_leave(&one.subscriber, on_gone));
    rm_flight_end(flight, RM_ECANCELLED);
    rm_flight_release(flight);
    assert_int_equal(one.gone, 0);
    hand_run(&f->there);
    assert_int_equal(one.gone, 1);
    assert_int_equal(one.ready, 0);
}

static void test_slow_follower_is_cut_and_the_fast_one_is_not(void **state)
{
    fixture *f = *state;
    caller fast, slow;
    caller_init(&fast, &f->here);
    caller_init(&slow, &f->there);
    slow.lazy = true;
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_join_first(flight, &fast.subscriber);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &slow.subscriber), RM_OK);
    for (int i = 0; i < 10; i++) {
        push_bytes(flight, 100);
        rm_flight_wake(flight);
    }
    drain(&slow);
    assert_false(slow.cut);
    assert_int_equal(slow.len, 1000);
    for (int i = 0; i < 11; i++) {
        push_bytes(flight, 100);
        rm_flight_wake(flight);
    }
    hand_run(&f->there);
    drain(&slow);
    assert_true(slow.cut);
    assert_int_equal(fast.len, 2100);
    rm_flight_end(flight, RM_OK);
    rm_flight_wake(flight);
    assert_true(fast.ended);
    hand_run(&f->there);
    assert_true(rm_flight_leave(&slow.subscriber, on_gone));
    assert_true(rm_flight_leave(&fast.subscriber, on_gone));
    rm_flight_release(flight);
}

static void test_source_pauses_and_resumes(void **state)
{
    fixture *f = *state;
    caller one;
    caller_init(&one, &f->here);
    one.lazy = true;
    rm_flight *flight = create(f, false, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    push_bytes(flight, RM_WRITE_HIGH_BYTES);
    assert_false(rm_flight_push(flight, rm_blob_create_copy(RM_SLICE("x"))));
    hand_run(&f->here);
    assert_int_equal(f->demanded, 0);
    drain(&one);
    hand_run(&f->here);
    assert_int_equal(f->demanded, 1);
    assert_false(one.cut); /* alone it only slows its own source */
    rm_flight_leave(&one.subscriber, on_gone);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
}

/* What the source may run ahead of is the fastest of those who are still there. */
static void test_the_source_waits_for_those_who_stay(void **state)
{
    fixture *f = *state;
    caller fast, slow;
    caller_init(&fast, &f->here);
    caller_init(&slow, &f->there);
    slow.lazy = true;
    rm_flight *flight = create(f, true, false, 4 * RM_WRITE_HIGH_BYTES);
    rm_flight_join_first(flight, &fast.subscriber);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &slow.subscriber), RM_OK);
    push_bytes(flight, RM_WRITE_HIGH_BYTES);
    rm_flight_wake(flight);
    assert_true(push(flight, "x"));
    rm_flight_leave(&fast.subscriber, on_gone);
    assert_false(push(flight, "y"));
    hand_run(&f->here);
    assert_int_equal(f->demanded, 0);
    drain(&slow);
    hand_run(&f->here);
    hand_run(&f->there);
    assert_int_equal(f->demanded, 1);
    assert_int_equal(slow.len, RM_WRITE_HIGH_BYTES + 2);
    assert_true(push(flight, "z"));
    rm_flight_leave(&slow.subscriber, on_gone);
    rm_flight_end(flight, RM_ECANCELLED);
    rm_flight_release(flight);
}

static void test_a_late_joiner_lets_the_source_go_on(void **state)
{
    fixture *f = *state;
    caller slow, late;
    caller_init(&slow, &f->here);
    caller_init(&late, &f->there);
    slow.lazy = true;
    rm_flight *flight = create(f, true, false, 4 * RM_WRITE_HIGH_BYTES);
    rm_flight_join_first(flight, &slow.subscriber);
    push_bytes(flight, RM_WRITE_HIGH_BYTES);
    assert_false(push(flight, "x"));
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &late.subscriber), RM_OK);
    drain(&late);
    hand_run(&f->here);
    assert_int_equal(late.len, RM_WRITE_HIGH_BYTES + 1);
    assert_int_equal(f->demanded, 1);
    rm_flight_leave(&late.subscriber, on_gone);
    rm_flight_leave(&slow.subscriber, on_gone);
    rm_flight_end(flight, RM_ECANCELLED);
    rm_flight_release(flight);
}

/* Each at another place in the log, leaving and reading in another order: each gets all, and nothing stays behind. */
static void test_readers_at_many_places(void **state)
{
    fixture *f = *state;
    enum { CALLERS = 24 };
    caller callers[CALLERS];
    rm_flight *flight = create(f, true, false, 1000);
    for (size_t i = 0; i < CALLERS; i++) {
        caller_init(&callers[i], i % 2 ? &f->here : &f->there);
        callers[i].lazy = true;
        if (i == 0)
            rm_flight_join_first(flight, &callers[i].subscriber);
        else
            assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &callers[i].subscriber), RM_OK);
    }
    for (size_t turn = 0; turn < CALLERS; turn++) {
        push(flight, "ab");
        for (size_t i = turn % 3; i < CALLERS; i += 3 + turn % 2) {
            rm_blob *chunk;
            rm_status status;
            if (!callers[i].subscriber.flight ||
                rm_flight_next(&callers[i].subscriber, &chunk, &status) != RM_FLIGHT_CHUNK)
                continue;
            callers[i].len += chunk->len;
            rm_blob_unref(chunk);
        }
        if (turn % 5 == 4)
            assert_true(rm_flight_leave(&callers[turn].subscriber, on_gone));
    }
    rm_flight_end(flight, RM_OK);
    for (size_t i = CALLERS; i-- > 0;) {
        if (!callers[i].subscriber.flight)
            continue;
        drain(&callers[i]);
        assert_true(callers[i].ended);
        assert_int_equal(callers[i].len, 2 * CALLERS);
        assert_true(rm_flight_leave(&callers[i].subscriber, on_gone));
    }
    rm_flight_release(flight);
}

typedef struct played {
    unsigned pieces;
    uint32_t last_flags;
    size_t len;
    char text[64];
} played;

static bool note_piece(void *user, uint32_t flags, rm_slice bytes)
{
    played *to = user;
    to->pieces++;
    to->last_flags = flags;
    if (to->len + bytes.len < sizeof to->text)
        memcpy(to->text + to->len, bytes.ptr, bytes.len);
    to->len += bytes.len;
    return true;
}

static void test_answer_is_kept_until_bytes_max(void **state)
{
    fixture *f = *state;
    caller one;
    played all = {0};
    caller_init(&one, &f->here);
    rm_flight *flight = create(f, false, true, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    push_bytes(flight, 1000);
    rm_flight_wake(flight);
    assert_true(rm_flight_play(flight, note_piece, &all));
    assert_int_equal(all.len, 1000);
    push_bytes(flight, 1);
    rm_flight_wake(flight);
    assert_false(rm_flight_play(flight, note_piece, &all));
    assert_int_equal(one.len, 1001);
    rm_flight_end(flight, RM_OK);
    rm_flight_wake(flight);
    rm_flight_leave(&one.subscriber, on_gone);
    rm_flight_release(flight);
}

static void push_flagged(rm_flight *flight, const char *text, uint32_t flags)
{
    rm_blob *blob = rm_blob_create_copy(rm_slice_cstr(text));
    blob->flags = flags;
    (void)rm_flight_push(flight, blob);
}

static void test_play_back_joins_runs_and_keeps_flags_apart(void **state)
{
    fixture *f = *state;
    played all = {0};
    caller late;
    caller_init(&late, &f->there);
    rm_flight *flight = create(f, true, false, 1000);
    push_flagged(flight, "event one;", 0);
    push_flagged(flight, "event two;", 0);
    push_flagged(flight, "event;", 0);
    push_flagged(flight, "usage;", 3);
    push_flagged(flight, "done", 0);
    assert_true(rm_flight_play(flight, note_piece, &all));
    assert_int_equal(all.pieces, 3);
    assert_string_equal(all.text, "event one;event two;event;usage;done");
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &late.subscriber), RM_OK);
    drain(&late);
    assert_string_equal(late.text, "event one;event two;event;usage;done");
    push_flagged(flight, "!", 0);
    rm_flight_wake(flight);
    hand_run(&f->there);
    assert_string_equal(late.text, "event one;event two;event;usage;done!");
    rm_flight_leave(&late.subscriber, on_gone);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
}

/* Chunks that share random beginnings and ends with the one before come back as they were. */
static void test_play_back_of_random_chunks(void **state)
{
    fixture *f = *state;
    rm_rng rng;
    rm_buf wanted;
    rm_rng_seed(&rng, 1);
    rm_buf_init(&wanted, RM_MIB);
    rm_flight *flight = create(f, true, false, RM_MIB);
    for (int i = 0; i < 2000; i++) {
        char text[20000];
        size_t len = rm_rng_next(&rng) % (i % 100 ? 64 : sizeof text);
        for (size_t at = 0; at < len; at++)
            text[at] = "aaaaaab\n"[rm_rng_next(&rng) % 8]; /* now and then the end of an event */
        rm_buf_append(&wanted, text, len);
        (void)rm_flight_push(flight, rm_blob_create_copy(rm_slice_make(text, len)));
    }
    caller late;
    caller_init(&late, &f->there);
    late.lazy = true;
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &late.subscriber), RM_OK);
    rm_blob *chunk = NULL;
    rm_status status = RM_OK;
    assert_int_equal(rm_flight_next(&late.subscriber, &chunk, &status), RM_FLIGHT_CHUNK);
    assert_true(rm_slice_eq(rm_blob_slice(chunk), rm_buf_slice(&wanted)));
    rm_blob_unref(chunk);
    assert_int_equal(rm_flight_next(&late.subscriber, &chunk, &status), RM_FLIGHT_WAIT);
    rm_flight_leave(&late.subscriber, on_gone);
    rm_flight_end(flight, RM_OK);
    rm_flight_release(flight);
    rm_buf_deinit(&wanted);
}

static void test_failure_reaches_all(void **state)
{
    fixture *f = *state;
    caller one, two;
    caller_init(&one, &f->here);
    caller_init(&two, &f->there);
    rm_flight *flight = create(f, true, false, 1000);
    rm_flight_join_first(flight, &one.subscriber);
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &two.subscriber), RM_OK);
    rm_flight_end(flight, RM_ERESET);
    rm_flight_wake(flight);
    hand_run(&f->there);
    assert_int_equal(one.status, RM_ERESET);
    assert_int_equal(two.status, RM_ERESET);
    rm_flight_leave(&one.subscriber, on_gone);
    rm_flight_leave(&two.subscriber, on_gone);
    rm_flight_release(flight);
}

static void test_no_more_than_so_many_aboard(void **state)
{
    fixture *f = *state;
    rm_flight *flight = create(f, true, false, 1000);
    rm_subscriber *all = rm_calloc(RM_FLIGHT_SUBSCRIBERS_MAX + 1, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i <= RM_FLIGHT_SUBSCRIBERS_MAX; i++)
        all[i].exec = &f->here.exec;
    rm_flight_join_first(flight, &all[0]);
    for (size_t i = 1; i < RM_FLIGHT_SUBSCRIBERS_MAX; i++)
        assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), &all[i]), RM_OK);
    rm_subscriber *over = &all[RM_FLIGHT_SUBSCRIBERS_MAX];
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), over), RM_EBUSY);
    assert_true(rm_flight_leave(&all[7], on_gone));
    assert_int_equal(rm_flight_join(f->flights, key, RM_SLICE("question"), over), RM_OK);
    /* All at once, with much unread, before the end. */
    for (size_t i = 0; i < 400; i++)
        push(flight, "x");
    for (size_t i = 0; i <= RM_FLIGHT_SUBSCRIBERS_MAX; i++)
        assert_true(rm_flight_leave(&all[i], on_gone));
    hand_run(&f->here);
    assert_int_equal(f->abandoned, 1);
    rm_flight_end(flight, RM_ECANCELLED);
    rm_flight_release(flight);
    rm_free(all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_caller_reads_all),
        TEST(test_late_joiner_gets_all_on_another_executor),
        TEST(test_other_question_of_the_same_key_does_not_join),
        TEST(test_second_flight_of_a_key_is_refused),
        TEST(test_sealed_or_ended_takes_nobody),
        TEST(test_last_one_leaving_abandons),
        TEST(test_somebody_joins_before_the_abandonment_is_seen),
        TEST(test_leaving_with_a_task_in_the_mailbox),
        TEST(test_slow_follower_is_cut_and_the_fast_one_is_not),
        TEST(test_source_pauses_and_resumes),
        TEST(test_the_source_waits_for_those_who_stay),
        TEST(test_a_late_joiner_lets_the_source_go_on),
        TEST(test_readers_at_many_places),
        TEST(test_answer_is_kept_until_bytes_max),
        TEST(test_play_back_joins_runs_and_keeps_flags_apart),
        TEST(test_play_back_of_random_chunks),
        TEST(test_failure_reaches_all),
        TEST(test_no_more_than_so_many_aboard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
