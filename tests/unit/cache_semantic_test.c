/* The semantic cache over a real index, with vectors made by hand: what is served, what is not, and what is learnt. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remora/semantic.h"

#define DIMENSIONS 64
#define TEXTS      4096
#define ERROR      0.05

static char texts[TEXTS][160];
static bool gone[TEXTS];

static rm_status text_of(uint64_t id, rm_buf *out, void *user)
{
    (void)user;
    return gone[id] ? RM_ENOTFOUND : rm_buf_append_slice(out, rm_slice_cstr(texts[id]));
}

typedef struct fixture {
    rm_index *index;
    rm_semantic *semantic;
    uint64_t next;
    float vector[DIMENSIONS];
    rm_semantic_decision decision;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof(f));
    memset(gone, 0, sizeof(gone));
    rm_index_options of_index = {.dimensions = DIMENSIONS};
    if (rm_index_create(&of_index, &f.index) != RM_OK)
        return -1;
    rm_semantic_options options = {.index = f.index, .model = "all-minilm-l6-v2", .text = text_of, .audit_share = 0.03};
    *state = &f;
    return rm_semantic_create(&options, &f.semantic) == RM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    rm_semantic_destroy(f->semantic);
    rm_index_destroy(f->index);
    return 0;
}

/* A unit vector near axis `topic`, the nearer the smaller `away`; `turn` says into which direction it leans. */
static void lean(fixture *f, unsigned topic, double away, unsigned turn)
{
    memset(f->vector, 0, sizeof(f->vector));
    f->vector[topic % 32] = (float)sqrt(1 - away * away);
    f->vector[32 + turn % 32] = (float)away;
}

static rm_semantic_ask ask_for(fixture *f, const char *text, uint64_t partition)
{
    return (rm_semantic_ask){
        .partition = {partition, partition}, .text = rm_slice_cstr(text), .vector = f->vector, .max_error = ERROR};
}

/* Asks; what is no hit is answered and learnt. Returns the verdict. */
static rm_verdict ask(fixture *f, const char *text, const char *answer, uint64_t partition)
{
    rm_semantic_ask asked = ask_for(f, text, partition);
    rm_semantic_answer read;

    (void)snprintf(texts[f->next], sizeof(texts[0]), "%s", text);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    if (f->decision.verdict != RM_VERDICT_HIT) {
        assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(answer), &read), RM_OK);
        assert_int_equal(rm_semantic_learn(f->semantic, &asked, &f->decision, &read, f->next++), RM_OK);
    }
    return f->decision.verdict;
}

/* A workload in which near neighbours have the same answer; returns the hits among the last hundred. */
static unsigned warm(fixture *f, unsigned requests, uint64_t partition)
{
    static const char *const words[] = {"please", "now", "today then", "thanks", "again", "quickly", "soon", "kindly"};
    unsigned hits = 0;
    char text[160], answer[16];

    for (unsigned i = 0; i < requests; i++) {
        unsigned topic = (i * 7) % 16;
        (void)snprintf(text, sizeof(text), "how do i reset the password of the %c account %s", 'a' + topic,
                       words[i % 8]);
        (void)snprintf(answer, sizeof(answer), "answer-%u", topic);
        lean(f, topic, 0.15, i * 5);
        hits += ask(f, text, answer, partition) == RM_VERDICT_HIT && i + 100 >= requests;
    }
    return hits;
}

static void a_workload_is_learnt(void **state)
{
    fixture *f = *state;
    rm_semantic_stats stats;
    assert_int_equal(rm_semantic_get_stats(f->semantic, RM_SLICE(""), &stats), RM_ENOTFOUND);
    unsigned hits = warm(f, 1500, 1);
    assert_in_range(hits, 50, 100);
    assert_int_equal(rm_semantic_get_stats(f->semantic, RM_SLICE(""), &stats), RM_OK);
    assert_int_equal(stats.requests, 1500);
    assert_int_equal(stats.served + f->next, 1500);
    assert_true(stats.spent <= ERROR * 1500);
    assert_int_equal(stats.audited_wrong, 0);
    assert_true(stats.audited > 0);
}

static void an_empty_cache_serves_nothing(void **state)
{
    fixture *f = *state;
    lean(f, 1, 0.1, 1);
    assert_int_equal(ask(f, "what is the capital of france", "Paris", 1), RM_VERDICT_MISS);
    assert_false(f->decision.candidate);
    assert_int_equal(f->decision.count, 0);
}

static void partitions_never_meet(void **state)
{
    fixture *f = *state;
    (void)warm(f, 1500, 1);
    for (uint64_t partition = 2; partition < 200; partition++) {
        lean(f, 0, 0.15, 0);
        rm_semantic_ask asked = ask_for(f, "how do i reset the password of the a account please", partition);
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
        assert_false(f->decision.candidate);
    }
}

static void an_error_of_zero_serves_nothing(void **state)
{
    fixture *f = *state;
    (void)warm(f, 1500, 1);
    for (unsigned i = 0; i < 50; i++) {
        lean(f, i % 16, 0.15, i);
        rm_semantic_ask asked = ask_for(f, "how do i reset the password of the a account please", 1);
        asked.max_error = 0;
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
        assert_int_equal(f->decision.verdict, RM_VERDICT_MISS);
    }
}

static void what_is_gone_is_not_served(void **state)
{
    fixture *f = *state;
    (void)warm(f, 1500, 1);
    memset(gone, 1, sizeof(gone));
    for (unsigned i = 0; i < 50; i++) {
        lean(f, i % 16, 0.15, i);
        rm_semantic_ask asked = ask_for(f, "how do i reset the password of the a account please", 1);
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
        assert_int_equal(f->decision.verdict, RM_VERDICT_MISS);
        assert_false(f->decision.candidate);
    }
    memset(gone, 0, sizeof(gone));
    for (uint64_t id = 0; id < f->next; id++)
        rm_semantic_forget(f->semantic, (rm_key128){1, 1}, id);
    rm_semantic_forget(f->semantic, (rm_key128){1, 1}, 77777);
    rm_semantic_ask asked = ask_for(f, "how do i reset the password of the a account please", 1);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    assert_int_equal(f->decision.count, 0);
    assert_int_equal(rm_index_count(f->index, (rm_key128){1, 1}), 0);
}

/* Where the nearest alias has no text any more, the next one speaks for the answer. */
static void an_alias_that_is_gone_is_passed_over(void **state)
{
    fixture *f = *state;
    (void)warm(f, 1500, 1);
    lean(f, 4, 0.15, 2);
    rm_semantic_ask asked = ask_for(f, "how do i reset the password of the e account please", 1);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    assert_true(f->decision.candidate && f->decision.count == RM_SEMANTIC_NEIGHBOURS);
    uint64_t nearest = f->decision.neighbours[0].id;
    gone[nearest] = true;
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    assert_true(f->decision.candidate && f->decision.entry != nearest);
}

static void guards_stop_hits(void **state)
{
    fixture *f = *state;
    unsigned vetoed = 0;
    rm_semantic_stats stats;
    (void)warm(f, 1500, 1);
    for (unsigned i = 0; i < 50; i++) {
        lean(f, i % 16, 0.15, i);
        char text[160];
        (void)snprintf(text, sizeof(text), "how do i not reset the password of the %c account for 3 dollars",
                       'a' + i % 16);
        rm_semantic_ask asked = ask_for(f, text, 1);
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
        assert_int_not_equal(f->decision.verdict, RM_VERDICT_HIT);
        assert_true(f->decision.guards != 0);
        vetoed += f->decision.verdict == RM_VERDICT_VETO;
    }
    assert_int_equal(rm_semantic_get_stats(f->semantic, RM_SLICE(""), &stats), RM_OK);
    assert_int_equal(stats.vetoed, vetoed);
}

/* An audited hit that was wrong: neither that entry nor its aliases are served, until fresh answers say that they are right. */
static void a_wrong_audit_is_a_quarantine(void **state)
{
    fixture *f = *state;
    rm_semantic_answer other;
    const char *text = "how do i reset the password of the d account please";
    (void)warm(f, 1500, 1);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("another"), &other), RM_OK);
    lean(f, 3, 0.15, 3);
    rm_semantic_ask asked = ask_for(f, text, 1);
    unsigned draws = 0;
    do
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    while (f->decision.verdict != RM_VERDICT_AUDIT && ++draws < 1000);
    assert_int_equal(f->decision.verdict, RM_VERDICT_AUDIT);
    assert_int_equal(rm_semantic_learn(f->semantic, &asked, &f->decision, &other, UINT64_MAX), RM_OK);
    for (unsigned i = 0; i < 20; i++) {
        lean(f, 3, 0.15, i);
        assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
        assert_int_not_equal(f->decision.verdict, RM_VERDICT_HIT);
    }
    bool back = false;
    for (unsigned i = 0; i < 60 && !back; i++) {
        lean(f, 3, 0.15, i);
        back = ask(f, text, "answer-3", 1) == RM_VERDICT_HIT;
    }
    assert_true(back);
}

static void noise_becomes_no_entry(void **state)
{
    fixture *f = *state;
    rm_semantic_answer answer;
    lean(f, 1, 0.1, 1);
    rm_semantic_ask asked = ask_for(
        f, "reset describing.\\ + similarlyNow write oppositeley.]( Me giving**ONE please? revert with \"\\!--Two", 1);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_OK);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("ok"), &answer), RM_OK);
    assert_int_equal(rm_semantic_learn(f->semantic, &asked, &f->decision, &answer, 1), RM_EREFUSED);
    assert_int_equal(rm_index_count(f->index, (rm_key128){1, 1}), 0);
}

static void bad_texts_are_told(void **state)
{
    fixture *f = *state;
    lean(f, 1, 0.1, 1);
    rm_semantic_ask asked = ask_for(f, "\xff\xfe", 1);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_EPARSE);
    f->vector[0] = 3;
    asked = ask_for(f, "hello", 1);
    assert_int_equal(rm_semantic_decide(f->semantic, &asked, &f->decision), RM_EINVAL);
}

/* Several threads decide, learn and forget in one partition; what is counted adds up. */
#define THREADS 4
#define ROUNDS  150

typedef struct asker {
    pthread_t thread;
    rm_semantic *semantic;
    unsigned number, failed;
} asker;

static void *ask_on_a_thread(void *user)
{
    asker *self = user;
    fixture own = {0};
    rm_semantic_decision decision;
    rm_semantic_answer answer;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t id = self->number * ROUNDS + i;
        lean(&own, i % 16, 0.15, i + self->number);
        rm_semantic_ask asked = ask_for(&own, texts[id], 1);
        rm_status status = rm_semantic_decide(self->semantic, &asked, &decision);
        if (!status)
            status = rm_semantic_read_answer(rm_slice_make(texts[id], strlen(texts[id]) - 1), &answer);
        if (!status && decision.verdict != RM_VERDICT_HIT)
            status = rm_semantic_learn(self->semantic, &asked, &decision, &answer, id);
        if (i % 3 == 0)
            rm_semantic_forget(self->semantic, asked.partition, id);
        self->failed += status != RM_OK;
    }
    return NULL;
}

static void threads_may_share_it(void **state)
{
    fixture *f = *state;
    asker askers[THREADS];
    rm_semantic_stats stats;

    for (unsigned id = 0; id < THREADS * ROUNDS; id++)
        (void)snprintf(texts[id], sizeof(texts[0]), "how do i reset the password of the %c account", 'a' + id % 16);
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (asker){.semantic = f->semantic, .number = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_on_a_thread, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].failed, 0);
    }
    assert_int_equal(rm_semantic_get_stats(f->semantic, RM_SLICE(""), &stats), RM_OK);
    assert_int_equal(stats.requests, THREADS * ROUNDS);
}

static void names_are_there(void **state)
{
    (void)state;
    for (int v = 0; v < RM_VERDICT_COUNT; v++)
        assert_true(rm_verdict_name((rm_verdict)v)[0]);
    assert_string_equal(rm_semantic_feature_name(0), "one");
    assert_null(rm_semantic_feature_name(RM_SEMANTIC_FEATURES_MAX));
    rm_semantic_destroy(NULL);
}

#ifdef REMORA_FAULTS
/* Each allocation fails once: a status, no leak, and what was there still answers. */
static void failed_allocations_are_reported(void **state)
{
    fixture *f = *state;
    rm_semantic_answer answer;
    const char *text = "how do i reset the password of the c account please";
    (void)warm(f, 100, 1);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("answer-2"), &answer), RM_OK);
    bool whole = false;
    for (uint64_t nth = 1; !whole && nth < 200; nth++) {
        lean(f, 2, 0.15, 1);
        rm_semantic_ask asked = ask_for(f, text, 1);
        (void)snprintf(texts[f->next], sizeof(texts[0]), "%s", text);
        uint64_t before = rm_index_count(f->index, asked.partition);
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        rm_status status = rm_semantic_decide(f->semantic, &asked, &f->decision);
        if (!status)
            status = rm_semantic_learn(f->semantic, &asked, &f->decision, &answer, f->next);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        if (status)
            assert_int_equal(rm_index_count(f->index, asked.partition), before);
        whole = !status && rm_index_count(f->index, asked.partition) == before + 1;
        rm_semantic_forget(f->semantic, asked.partition, f->next);
    }
    assert_true(whole);
    rm_semantic_options options = {.index = f->index, .text = text_of};
    rm_semantic *other = NULL;
    rm_fault_set(RM_FAULT_ALLOC, 1, false);
    assert_int_equal(rm_semantic_create(&options, &other), RM_ENOMEM);
    rm_fault_set(RM_FAULT_ALLOC, 0, false);
    assert_null(other);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_workload_is_learnt),
        TEST(an_empty_cache_serves_nothing),
        TEST(partitions_never_meet),
        TEST(an_error_of_zero_serves_nothing),
        TEST(what_is_gone_is_not_served),
        TEST(an_alias_that_is_gone_is_passed_over),
        TEST(guards_stop_hits),
        TEST(a_wrong_audit_is_a_quarantine),
        TEST(noise_becomes_no_entry),
        TEST(bad_texts_are_told),
        TEST(threads_may_share_it),
        TEST(names_are_there),
#ifdef REMORA_FAULTS
        TEST(failed_allocations_are_reported),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
