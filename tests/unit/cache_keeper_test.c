/* The semantic cache beside a real store: what outlives the process, what goes with its record, and what a kill at any moment
 * leaves. */
#include "store_fixture.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#include "remora/keeper.h"

enum { DIMENSIONS = 32, TOPICS = 16 };
#define ERROR 0.05

typedef struct keeping {
    fixture fix;
    char snapshot[128];
    rm_keeper *keeper;
    uint64_t asked; /* numbers the records too */
    float vector[DIMENSIONS];
    char text[160], answer[32];
    rm_semantic_decision decision;
    uint64_t entry; /* that was learnt last */
} keeping;

static void open_keeper(keeping *k, const char *fingerprint)
{
    rm_keeper_options options = {.store = k->fix.store,
                                 .model = "all-minilm-l6-v2",
                                 .fingerprint = fingerprint,
                                 .dimensions = DIMENSIONS,
                                 .snapshot = k->snapshot,
                                 .flat_max = 200};
    assert_int_equal(rm_keeper_create(&options, &k->keeper), RM_OK);
}

static void tend(keeping *k)
{
    for (bool more = true; more;)
        assert_int_equal(rm_keeper_tend(k->keeper, &more), RM_OK);
}

static void begin(keeping *k)
{
    fixture_open(&k->fix);
    open_keeper(k, "tiny");
    tend(k);
}

static void end(keeping *k)
{
    rm_keeper_destroy(k->keeper);
    k->keeper = NULL;
    fixture_close(&k->fix);
}

static void again(keeping *k)
{
    end(k);
    begin(k);
}

static int set_up(void **state)
{
    keeping *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    fixture_init(&k->fix);
    snprintf(k->snapshot, sizeof(k->snapshot), "%s/index", k->fix.folder);
    begin(k);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    keeping *k = *state;
    rm_keeper_destroy(k->keeper);
    fixture_deinit(&k->fix);
    free(k);
    return 0;
}

/* A question about a topic, in one of many wordings. */
static rm_semantic_ask question(keeping *k, unsigned topic, unsigned wording, uint64_t partition)
{
    static const char *const words[] = {"please", "now", "then", "thanks", "again", "quickly", "soon", "kindly"};
    double away = 0.15;
    memset(k->vector, 0, sizeof(k->vector));
    k->vector[topic % TOPICS] = (float)sqrt(1 - away * away);
    k->vector[TOPICS + wording % TOPICS] = (float)away;
    snprintf(k->text, sizeof(k->text), "how do i reset the password of the %c account %s", 'a' + (int)(topic % TOPICS),
             words[wording % 8]);
    snprintf(k->answer, sizeof(k->answer), "answer-%u", topic % TOPICS);
    return (rm_semantic_ask){.partition = {partition, partition},
                             .text = rm_slice_cstr(k->text),
                             .vector = k->vector,
                             .max_error = ERROR,
                             .record = fixture_key(k->asked)};
}

/* Asks; what is no hit is answered, kept and learnt. */
static rm_verdict ask(keeping *k, unsigned topic, unsigned wording, uint64_t partition)
{
    rm_semantic_ask asked = question(k, topic, wording, partition);
    rm_semantic_answer answer;
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
    if (k->decision.verdict == RM_VERDICT_HIT)
        return RM_VERDICT_HIT;
    assert_int_equal(fixture_put(&k->fix, k->asked, 300), RM_OK);
    k->asked++;
    assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(k->answer), &answer), RM_OK);
    assert_int_equal(rm_keeper_learn(k->keeper, &asked, &k->decision, &answer, true, &k->entry), RM_OK);
    return k->decision.verdict;
}

static unsigned warm(keeping *k, unsigned requests, uint64_t partition)
{
    unsigned hits = 0;
    for (unsigned i = 0; i < requests; i++)
        hits += ask(k, i * 7, i * 5, partition) == RM_VERDICT_HIT;
    return hits;
}

static rm_semantic_stats stats_of(keeping *k)
{
    rm_semantic_stats stats = {0};
    assert_int_equal(rm_semantic_get_stats(rm_keeper_semantic(k->keeper), RM_SLICE(""), &stats), RM_OK);
    return stats;
}

static void what_was_learnt_outlives_the_process(void **state)
{
    keeping *k = *state;
    assert_true(warm(k, 400, 1) > 100);
    rm_semantic_stats before = stats_of(k), after;
    uint64_t entries = rm_keeper_index_stats(k->keeper).entries;
    again(k);
    after = stats_of(k);
    assert_int_equal(before.requests, after.requests);
    assert_int_equal(before.served, after.served);
    assert_int_equal(before.labels, after.labels);
    assert_true(before.spent == after.spent && before.correction == after.correction);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries);
    assert_int_equal(ask(k, 3, 3, 1), RM_VERDICT_HIT);
    rm_record record;
    assert_int_equal(rm_store_get(k->fix.reader, k->decision.record, &record), RM_OK);
    rm_store_release(k->fix.reader);
}

/* The same decisions as if it had never stopped, to the bit where vectors were not rounded. */
static void decisions_are_the_same_after_a_restart(void **state)
{
    keeping *k = *state;
    (void)warm(k, 300, 1);
    rm_semantic_ask asked = question(k, 5, 11, 1);
    rm_semantic_decision before, after;
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &before), RM_OK);
    assert_int_equal(unlink(k->snapshot) == 0 || errno == ENOENT, 1);
    again(k);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &after), RM_OK);
    assert_int_equal(before.verdict, after.verdict);
    assert_int_equal(before.entry, after.entry);
    for (unsigned i = 0; rm_semantic_feature_name(i); i++)
        assert_true(fabs(before.features[i] - after.features[i]) < 1e-3);
}

static void a_snapshot_saves_the_building(void **state)
{
    keeping *k = *state;
    (void)warm(k, 300, 1);
    tend(k);
    uint64_t entries = rm_keeper_index_stats(k->keeper).entries;
    end(k);
    assert_int_equal(access(k->snapshot, R_OK), 0);
    fixture_open(&k->fix);
    open_keeper(k, "tiny");
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries); /* before anything was loaded */
    tend(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries);
}

/* What came after the snapshot is added, what went is taken out; damage is no harm. */
static void a_snapshot_is_matched_with_the_store(void **state)
{
    keeping *k = *state;
    char kept[160];
    (void)warm(k, 100, 1);
    end(k);
    snprintf(kept, sizeof(kept), "%s.kept", k->snapshot);
    assert_int_equal(rename(k->snapshot, kept), 0);
    begin(k);
    uint64_t deleted = 0;
    for (uint64_t i = 0; i < k->asked; i += 3, deleted++)
        assert_int_equal(rm_store_delete(k->fix.store, fixture_key(i)), RM_OK);
    (void)warm(k, 100, 2);
    assert_int_equal(rm_store_flush(k->fix.store), RM_OK);
    uint64_t entries = k->asked - deleted;
    end(k);
    assert_int_equal(rename(kept, k->snapshot), 0);
    begin(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries);
    assert_int_equal(rm_keeper_index_stats(k->keeper).partitions, 2);
    end(k);
    FILE *file = fopen(k->snapshot, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 200, SEEK_SET), 0);
    assert_int_equal(fputc(0x55, file), 0x55);
    fclose(file);
    begin(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries);
}

static void entries_go_with_their_records(void **state)
{
    const rm_store_filter all = {0};
    keeping *k = *state;
    uint64_t count;
    (void)warm(k, 100, 1);
    assert_int_equal(rm_store_purge(k->fix.store, &all, &count), RM_OK);
    assert_int_equal(count, k->asked);
    for (unsigned i = 0; i < TOPICS; i++) {
        rm_semantic_ask asked = question(k, i, i, 1);
        assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
        assert_false(k->decision.candidate);
    }
    for (unsigned i = 0; i < 4; i++)
        tend(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, 0);
}

static void vectors_of_another_model_are_not_loaded(void **state)
{
    keeping *k = *state;
    (void)warm(k, 50, 1);
    end(k);
    fixture_open(&k->fix);
    open_keeper(k, "another");
    tend(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, 0);
    assert_int_equal(ask(k, 1, 1, 1), RM_VERDICT_MISS);
}

static void nothing_is_decided_before_it_is_loaded(void **state)
{
    keeping *k = *state;
    (void)warm(k, 50, 1);
    end(k);
    fixture_open(&k->fix);
    open_keeper(k, "tiny");
    rm_semantic_ask asked = question(k, 1, 1, 1);
    rm_semantic_answer answer;
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("x"), &answer), RM_OK);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_EBUSY);
    assert_int_equal(rm_keeper_learn(k->keeper, &asked, &k->decision, &answer, true, &k->entry), RM_EBUSY);
    tend(k);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
}

/* Stopped in the middle of loading: nothing is lost of what is stored, and (the sanitizer says) nothing of memory. */
static void a_stop_while_loading(void **state)
{
    keeping *k = *state;
    bool more;
    (void)warm(k, 200, 1);
    uint64_t entries = rm_keeper_index_stats(k->keeper).entries, requests = stats_of(k).requests;
    for (unsigned pieces = 0; pieces < 3; pieces++) {
        end(k);
        fixture_open(&k->fix);
        open_keeper(k, "tiny");
        for (unsigned i = 0; i < pieces; i++)
            assert_int_equal(rm_keeper_tend(k->keeper, &more), RM_OK);
    }
    again(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, entries);
    assert_int_equal(stats_of(k).requests, requests);
}

/* Told wrong: neither it nor its aliases are served, also after a restart, until fresh answers have said that it is right. */
static void feedback_is_kept(void **state)
{
    keeping *k = *state;
    (void)warm(k, 300, 1);
    assert_int_equal(ask(k, 3, 3, 1), RM_VERDICT_HIT);
    rm_semantic_stats before = stats_of(k);
    rm_semantic_feedback(rm_keeper_semantic(k->keeper), RM_SLICE(""), &k->decision, false);
    rm_semantic_stats after = stats_of(k);
    assert_int_equal(after.feedback_wrong, 1);
    assert_true(fabs(after.spent - before.spent - (1 - k->decision.risk)) < 1e-9);
    again(k);
    assert_int_equal(stats_of(k).feedback_wrong, 1);
    assert_int_not_equal(ask(k, 3, 4, 1), RM_VERDICT_HIT);
    assert_int_not_equal(ask(k, 3, 5, 1), RM_VERDICT_HIT);
}

/* A further tenant gets an answer that two others have had, or its own. */
static void tenants_confirm_each_other(void **state)
{
    keeping *k = *state;
    (void)warm(k, 300, 1);
    for (unsigned tenant = 1; tenant <= 4; tenant++) {
        rm_semantic_ask asked = question(k, 2, 6, 9);
        rm_semantic_answer answer;
        asked.tenant = tenant;
        assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
        assert_int_equal(k->decision.verdict, tenant == 1   ? RM_VERDICT_MISS
                                              : tenant == 2 ? RM_VERDICT_UNCONFIRMED
                                                            : RM_VERDICT_HIT);
        if (tenant > 2)
            continue;
        assert_int_equal(fixture_put(&k->fix, k->asked, 300), RM_OK);
        k->asked++;
        assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(k->answer), &answer), RM_OK);
        assert_int_equal(rm_keeper_learn(k->keeper, &asked, &k->decision, &answer, true, &k->entry), RM_OK);
        rm_semantic_ask own = question(k, 2, 14, 9);
        own.tenant = tenant;
        assert_int_equal(rm_keeper_decide(k->keeper, &own, &k->decision), RM_OK);
        assert_int_equal(k->decision.verdict, RM_VERDICT_HIT);
        again(k);
    }
    assert_int_equal(stats_of(k).unconfirmed, 1);
}

/* Two answers that texts cannot tell are one by a second opinion, and stay so. */
static void second_opinions_make_aliases(void **state)
{
    keeping *k = *state;
    rm_semantic_answer answers[2];
    uint64_t ids[2];
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("Open the settings first"), &answers[0]), RM_OK);
    assert_int_equal(rm_semantic_read_answer(RM_SLICE("First open your settings"), &answers[1]), RM_OK);
    for (unsigned i = 0; i < 2; i++) {
        rm_semantic_ask asked = question(k, 1, 1 + i, 5);
        assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
        assert_int_equal(rm_semantic_is_open(rm_keeper_semantic(k->keeper), &k->decision, &answers[i]), i == 1);
        assert_int_equal(fixture_put(&k->fix, k->asked, 300), RM_OK);
        k->asked++;
        assert_int_equal(rm_keeper_learn(k->keeper, &asked, &k->decision, &answers[i], true, &ids[i]), RM_OK);
    }
    rm_semantic_ask asked = question(k, 1, 3, 5);
    rm_semantic_decision apart, together, later;
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &apart), RM_OK);
    uint64_t labels = stats_of(k).labels;
    rm_semantic_label(rm_keeper_semantic(k->keeper), &asked, &k->decision, ids[1], true);
    assert_int_equal(stats_of(k).labels, labels + 1);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &together), RM_OK);
    assert_true(together.risk < apart.risk); /* no other answer is near any more */
    again(k);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &later), RM_OK);
    for (unsigned i = 0; rm_semantic_feature_name(i); i++)
        assert_true(fabs(together.features[i] - later.features[i]) < 1e-3);
    /* The first of them goes; its answer's name stays with the other. */
    assert_int_equal(rm_store_delete(k->fix.store, fixture_key(k->asked - 2)), RM_OK);
    again(k);
    assert_int_equal(rm_keeper_index_stats(k->keeper).entries, 1);
    assert_int_equal(rm_keeper_decide(k->keeper, &asked, &later), RM_OK);
    assert_true(later.candidate && later.entry == ids[1]);
}

static void near_answers_are_equal_unless_a_guard_says_no(void **state)
{
    keeping *k = *state;
    rm_semantic *semantic = rm_keeper_semantic(k->keeper);
    rm_slice may = RM_SLICE("You can take it with food"), not = RM_SLICE("You cannot take it with food");
    assert_int_equal(rm_semantic_judge_near(semantic, may, RM_SLICE("With food you can take it"), 0.95F),
                     RM_JUDGED_EQUAL);
    assert_int_equal(rm_semantic_judge_near(semantic, may, not, 0.95F), RM_JUDGED_UNKNOWN);
    assert_int_equal(rm_semantic_judge_near(semantic, may, may, 0.8F), RM_JUDGED_UNKNOWN);
    assert_int_equal(rm_semantic_judge_near(semantic, may, not, 0.5F), RM_JUDGED_DIFFERENT);
    assert_int_equal(rm_semantic_judge_near(semantic, may, RM_SLICE("\xff"), 0.95F), RM_JUDGED_UNKNOWN);
}

static void namespaces_have_a_bound(void **state)
{
    keeping *k = *state;
    char name[32];
    for (unsigned i = 0; i <= RM_SEMANTIC_NAMESPACES_MAX; i++) {
        rm_semantic_ask asked = question(k, 1, 1, 1);
        snprintf(name, sizeof(name), "n%u", i);
        asked.name_space = rm_slice_cstr(name);
        rm_status status = rm_keeper_decide(k->keeper, &asked, &k->decision);
        assert_int_equal(status, i < RM_SEMANTIC_NAMESPACES_MAX ? RM_OK : RM_EFULL);
    }
    again(k);
    rm_semantic_space *spaces = calloc(RM_SEMANTIC_NAMESPACES_MAX, sizeof(*spaces));
    assert_int_equal(rm_semantic_list_spaces(rm_keeper_semantic(k->keeper), spaces, RM_SEMANTIC_NAMESPACES_MAX),
                     RM_SEMANTIC_NAMESPACES_MAX);
    assert_int_equal(rm_semantic_list_spaces(rm_keeper_semantic(k->keeper), spaces, 3), 3);
    free(spaces);
}

static void receipts_are_the_latest(void **state)
{
    keeping *k = *state;
    rm_semantic_receipt receipt = {.shadow = true};
    for (unsigned i = 0; i <= RM_SEMANTIC_RECEIPTS_MAX; i++) {
        snprintf(receipt.id, sizeof(receipt.id), "%032x", i);
        rm_keeper_add_receipt(k->keeper, &receipt);
    }
    assert_int_equal(rm_keeper_get_receipt(k->keeper, rm_slice_cstr(receipt.id), &receipt), RM_OK);
    assert_true(receipt.shadow);
    assert_int_equal(rm_keeper_get_receipt(k->keeper, RM_SLICE("00000000000000000000000000000001"), &receipt), RM_OK);
    assert_int_equal(rm_keeper_get_receipt(k->keeper, RM_SLICE("00000000000000000000000000000000"), &receipt),
                     RM_ENOTFOUND);
}

#ifdef REMORA_FAULTS
static void no_memory_is_a_miss(void **state)
{
    keeping *k = *state;
    (void)warm(k, 100, 1);
    unsigned failures = 0;
    for (uint64_t at = 1; at < 60; at++) {
        rm_semantic_ask asked = question(k, (unsigned)at, (unsigned)at, 1);
        rm_semantic_answer answer;
        assert_int_equal(rm_semantic_read_answer(rm_slice_cstr(k->answer), &answer), RM_OK);
        rm_fault_set(RM_FAULT_ALLOC, at, true);
        rm_status status = rm_keeper_decide(k->keeper, &asked, &k->decision);
        if (status == RM_OK && k->decision.verdict != RM_VERDICT_HIT)
            status = rm_keeper_learn(k->keeper, &asked, &k->decision, &answer, true, &k->entry);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_OK || status == RM_ENOMEM);
        failures += status != RM_OK;
    }
    if (failures)
        assert_int_equal(ask(k, 3, 3, 1), RM_VERDICT_HIT);
}
#endif

/* ---- killed at any moment ---------------------------------------------------------------------------------------- */

enum { KILLS = 50 };

/* Inserts, removes, trains (flat_max is small), writes snapshots, and tells after each commit how many requests it covers. */
static _Noreturn void busy_child(keeping *k, int out, uint64_t from)
{
    k->asked = from;
    begin(k);
    for (unsigned round = 0;; round++) {
        for (unsigned i = 0; i < 40; i++) {
            (void)ask(k, i * 7 + round, i * 5, 1 + i % 3);
            if (i % 5 == 0)
                assert_int_equal(rm_store_delete(k->fix.store, fixture_key(k->asked / 2 + i)), RM_OK);
        }
        uint64_t requests = stats_of(k).requests;
        tend(k);
        assert_int_equal(rm_store_flush(k->fix.store), RM_OK);
        assert_int_equal(write(out, &requests, sizeof(requests)), sizeof(requests));
        if (round % 4 == 3) {
            uint64_t at = k->asked;
            again(k); /* with a snapshot */
            k->asked = at;
        }
    }
}

/* The last number that the child told before it was killed. */
static uint64_t run_and_kill(keeping *k, unsigned round, uint64_t from)
{
    int pipes[2], status;
    uint64_t told = 0, requests;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        busy_child(k, pipes[1], from);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &told, sizeof(told)), sizeof(told));
    usleep(1000 * (round * 37 % 150));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(pipes[0], &requests, sizeof(requests)) == sizeof(requests))
        told = requests;
    close(pipes[0]);
    return told;
}

static void a_kill_at_any_moment(void **state)
{
    keeping *k = *state;
    (void)warm(k, 20, 1);
    end(k);
    for (unsigned round = 0; round < KILLS; round++) {
        uint64_t told = run_and_kill(k, round, 1000 * (round + 1));
        begin(k);
        assert_true(stats_of(k).requests >= told); /* no evidence was lost that was committed */
        for (unsigned i = 0; i < 3 * TOPICS; i++) {
            rm_semantic_ask asked = question(k, i, i, 1 + i % 3);
            rm_record record;
            assert_int_equal(rm_keeper_decide(k->keeper, &asked, &k->decision), RM_OK);
            if (k->decision.verdict != RM_VERDICT_HIT)
                continue;
            assert_int_equal(rm_store_get(k->fix.reader, k->decision.record, &record), RM_OK);
            rm_store_release(k->fix.reader);
        }
        end(k);
    }
    begin(k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_learnt_outlives_the_process),
        TEST(decisions_are_the_same_after_a_restart),
        TEST(a_snapshot_saves_the_building),
        TEST(a_snapshot_is_matched_with_the_store),
        TEST(entries_go_with_their_records),
        TEST(vectors_of_another_model_are_not_loaded),
        TEST(nothing_is_decided_before_it_is_loaded),
        TEST(a_stop_while_loading),
        TEST(feedback_is_kept),
        TEST(tenants_confirm_each_other),
        TEST(second_opinions_make_aliases),
        TEST(near_answers_are_equal_unless_a_guard_says_no),
        TEST(namespaces_have_a_bound),
        TEST(receipts_are_the_latest),
#ifdef REMORA_FAULTS
        TEST(no_memory_is_a_miss),
#endif
        TEST(a_kill_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
