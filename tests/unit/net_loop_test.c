/* Loops: tasks from other threads and from their own, timers, and the ends of a loop. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "net_internal.h"

enum { POSTERS = 4, POSTS = 20000 };

typedef struct numbered {
    rm_task task;
    unsigned poster, number;
} numbered;

static struct {
    rm_loop *loop;
    unsigned next[POSTERS]; /* loop thread only */
    unsigned ran;
    bool disordered;
} posting;

static void run_numbered(rm_task *task)
{
    numbered *item = RM_CONTAINER_OF(task, numbered, task);

    if (posting.next[item->poster]++ != item->number)
        posting.disordered = true;
    if (++posting.ran == POSTERS * POSTS)
        rm_loop_stop(posting.loop);
    free(item);
}

static void *post_many(void *user)
{
    unsigned poster = *(unsigned *)user;

    for (unsigned i = 0; i < POSTS; i++) {
        numbered *item = malloc(sizeof(*item));

        *item = (numbered){{NULL, run_numbered}, poster, i};
        rm_exec_post(rm_loop_exec(posting.loop), &item->task);
    }
    return NULL;
}

/* Every task of every thread runs once, each thread's in its order. */
static void test_posting(void **state)
{
    pthread_t threads[POSTERS];
    unsigned ids[POSTERS];

    (void)state;
    memset(&posting, 0, sizeof(posting));
    assert_int_equal(rm_loop_create(7, &posting.loop), RM_OK);
    assert_int_equal(rm_loop_index(posting.loop), 7);
    assert_non_null(rm_loop_arenas(posting.loop));
    for (unsigned i = 0; i < POSTERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &ids[i]), 0);
    }
    rm_loop_run(posting.loop);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(posting.ran, POSTERS * POSTS);
    assert_false(posting.disordered);
    rm_loop_destroy(posting.loop);
}

typedef struct chain {
    rm_task task;
    rm_loop *loop;
    unsigned left;
    bool running;
} chain;

static void run_chain(rm_task *task)
{
    chain *link = RM_CONTAINER_OF(task, chain, task);

    assert_false(link->running); /* never inside the call that posts */
    link->running = true;
    if (link->left-- > 0)
        rm_exec_post(rm_loop_exec(link->loop), task);
    else
        rm_loop_stop(link->loop);
    link->running = false;
}

/* A task that posts itself goes on without anything else happening; the first was posted before the loop ran. */
static void test_posting_itself(void **state)
{
    chain link = {.task = {NULL, run_chain}, .left = 1000};

    (void)state;
    assert_int_equal(rm_loop_create(0, &link.loop), RM_OK);
    rm_exec_post(rm_loop_exec(link.loop), &link.task);
    rm_loop_run(link.loop);
    rm_loop_destroy(link.loop);
}

static void test_stop_before_run(void **state)
{
    rm_loop *loop;

    (void)state;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    rm_loop_stop(loop);
    rm_loop_run(loop);
    rm_loop_destroy(loop);
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    rm_loop_destroy(loop);
    rm_loop_destroy(NULL);
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

typedef struct alarm_clock {
    rm_timer timer;
    rm_loop *loop;
    uint64_t due_ms, fired_ms;
    unsigned fires, again;
    struct alarm_clock *victim;
} alarm_clock;

static unsigned alarms_left;

static void on_alarm(rm_timer *timer)
{
    alarm_clock *alarm = RM_CONTAINER_OF(timer, alarm_clock, timer);
    rm_exec *exec = rm_loop_exec(alarm->loop);

    assert_false(rm_timer_armed(timer));
    alarm->fires++;
    alarm->fired_ms = exec->now_ms(exec);
    assert_true(alarm->fired_ms >= alarm->due_ms); /* never early */
    if (alarm->victim)
        rm_timer_stop(exec, &alarm->victim->timer);
    if (alarm->again-- > 0) {
        alarm->due_ms = alarm->fired_ms;
        rm_timer_start(exec, timer, 0);
        return;
    }
    if (--alarms_left == 0)
        rm_loop_stop(alarm->loop);
}

static void alarm_set(alarm_clock *alarm, rm_loop *loop, uint64_t delay_ms)
{
    rm_exec *exec = rm_loop_exec(loop);

    alarm->timer.fire = on_alarm;
    alarm->loop = loop;
    alarm->due_ms = exec->now_ms(exec) + delay_ms;
    rm_timer_start(exec, &alarm->timer, delay_ms);
}

static void test_timers(void **state)
{
    enum { COUNT = 500 };
    alarm_clock *alarms = calloc(COUNT, sizeof(*alarms));
    rm_loop *loop;

    (void)state;
    assert_non_null(alarms);
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    alarms_left = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        alarm_set(&alarms[i], loop, (i * 37) % 400);
    for (unsigned i = 0; i < COUNT; i += 5) /* again, at another time */
        alarm_set(&alarms[i], loop, (i * 13) % 300);
    for (unsigned i = 1; i < COUNT; i += 5) {
        rm_timer_stop(rm_loop_exec(loop), &alarms[i].timer);
        rm_timer_stop(rm_loop_exec(loop), &alarms[i].timer);
        assert_false(rm_timer_armed(&alarms[i].timer));
        alarms_left--;
    }
    rm_loop_run(loop);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(alarms[i].fires, i % 5 == 1 ? 0 : 1);
    rm_loop_destroy(loop);
    free(alarms);
}

/* Delay 0 over and over is no endless loop inside one turn, and a timer may stop another of its slot. */
static void test_timers_that_touch_timers(void **state)
{
    alarm_clock again = {.again = 5}, killer = {0}, victim = {0};
    rm_loop *loop;

    (void)state;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    alarms_left = 2;
    killer.victim = &victim;
    alarm_set(&killer, loop, 20);
    alarm_set(&victim, loop, 20);
    alarm_set(&again, loop, 0);
    rm_loop_run(loop);
    assert_int_equal(again.fires, 6);
    assert_int_equal(killer.fires, 1);
    assert_int_equal(victim.fires, 0);
    rm_loop_destroy(loop);
}

/* Beyond one turn of the wheel, driven without waiting: the wheel stands where a later round is not yet due. */
static void test_timer_rounds(void **state)
{
    alarm_clock near_one = {0}, far = {0}, farthest = {0};
    rm_loop *loop;

    (void)state;
    assert_int_equal(rm_loop_create(0, &loop), RM_OK);
    alarms_left = 1;
    alarm_set(&near_one, loop, 30);
    alarm_set(&far, loop, 30 + (uint64_t)RM_WHEEL_SLOTS * RM_TIMER_TICK_MS); /* the same slot */
    alarm_set(&farthest, loop, UINT64_MAX);
    rm_loop_run(loop);
    assert_int_equal(near_one.fires, 1);
    assert_int_equal(far.fires, 0);
    assert_true(rm_timer_armed(&far.timer));
    assert_true(rm_timer_armed(&farthest.timer));
    rm_timer_stop(rm_loop_exec(loop), &far.timer);
    rm_timer_stop(rm_loop_exec(loop), &farthest.timer);
    rm_loop_destroy(loop);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void test_address_keys(void **state)
{
    static const struct {
        const char *text, *shown;
        bool counted;
    } cases[] = {
        {"127.0.0.1:5", "127.0.0.1:5", false},
        {"127.9.9.9:5", "127.9.9.9:5", false},
        {"[::1]:5", "[::1]:5", false},
        {"[::ffff:127.0.0.1]:5", "127.0.0.1:5", false},
        {"192.0.2.7:5", "192.0.2.7:5", true},
        {"[::ffff:192.0.2.7]:6", "192.0.2.7:6", true},
        {"[2001:db8::1]:5", "[2001:db8::1]:5", true},
        {"unix:/x", "unix", false},
    };
    rm_key128 keys[RM_COUNT(cases)] = {{0, 0}};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        rm_address address;
        char text[RM_PEER_BYTES];

        assert_int_equal(rm_net__address_parse(cases[i].text, &address), RM_OK);
        rm_net__address_format(&address, text, sizeof(text));
        assert_string_equal(text, cases[i].shown);
        assert_int_equal(rm_net__address_key(&address, &keys[i]), cases[i].counted);
    }
    assert_true(rm_key128_eq(keys[4], keys[5])); /* one caller by either way */
    assert_false(rm_key128_eq(keys[4], keys[6]));
}

#ifdef REMORA_FAULTS
static void test_lost_memory(void **state)
{
    rm_loop *loop = NULL;

    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        assert_int_equal(rm_loop_create(0, &loop), RM_ENOMEM);
        assert_null(loop);
    }
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posting),
        cmocka_unit_test(test_posting_itself),
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_timers_that_touch_timers),
        cmocka_unit_test(test_timer_rounds),
        cmocka_unit_test(test_address_keys),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_lost_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
