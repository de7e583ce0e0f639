/* The semantic cache: semantic.h says what it is for.
 *
 *     entry ──► group (entries whose answers were judged equal: aliases)
 *     name space ──► evidence
 *
 * Vectors lie in the index and texts with the owner; here is what is small: about 100 bytes an entry. One lock over all of it
 * is held for microseconds; searching, reading texts and comparing them happen outside. */
#include "remora/semantic.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "evidence.h"
#include "remora/limits.h"

_Static_assert(RM_EVIDENCE_FEATURES <= RM_SEMANTIC_FEATURES_MAX, "decisions carry all features");

#define VOTE_SHARPNESS 25.0 /* a neighbour 0.04 further away has a third of the vote */
#define CANDIDATES     4    /* entries of the elected group that texts are compared with */
#define WITNESSES      5    /* neighbours whose own record a label changes */
#define NEAR_LIMIT     1.3  /* labels of risks up to so many limits correct the risks */
#define NEAR_WEIGHT    0.15 /* of such a label, in audits */
#define QUARANTINE     2    /* right labels in a row that end it */
#define NOTHING_NEAR   0.3  /* similarity of the next answer where fewer neighbours than asked for were found */
#define ANALYSIS_BYTES RM_MIB
#define GOLDEN         0x9e3779b97f4a7c15ULL

/* Guards that forbid a hit; the others are features of the risk alone, for they fire on paraphrases too. */
#define VETOES_NEVER (RM_GUARD_BIT(SUBSTITUTION) | RM_GUARD_BIT(ADDITION) | RM_GUARD_BIT(ENTITY))

typedef struct group {
    rm_semantic_answer text;
    rm_evidence_offset offset;
    uint32_t entries;
    uint32_t quarantine; /* right labels until it is served again */
} group;

typedef struct entry {
    struct group *group;
    float worst; /* similarity of the nearest request that had another answer; below -1: none had */
    uint16_t right, wrong;
} entry;

struct rm_semantic {
    rm_semantic_options options;
    rm_guard_words *words;
    const rm_prior *prior;
    pthread_mutex_t lock;
    rm_map entries;     /* by id */
    rm_map name_spaces; /* rm_evidence, by the name's hash */
};

/* One neighbour as the lock showed it. */
typedef struct neighbour {
    rm_index_hit hit;
    double similarity;
    entry *entry;
} neighbour;

static const struct {
    const char *name, *text;
} verdicts[RM_VERDICT_COUNT] = {
#define X(code, name, text) {name, text},
    RM_SEMANTIC_VERDICTS(X)
#undef X
};

const char *rm_verdict_name(rm_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *rm_semantic_feature_name(unsigned feature)
{
    return feature < RM_EVIDENCE_FEATURES ? rm_evidence_feature_name(feature) : NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

rm_status rm_semantic_create(const rm_semantic_options *options, rm_semantic **ret_semantic)
{
    rm_semantic *semantic = rm_calloc(1, sizeof(*semantic));

    if (!semantic)
        return RM_ENOMEM;
    semantic->options = *options;
    semantic->prior = rm_prior_of(options->model);
    rm_status status = rm_guard_words_create(&semantic->words);
    if (status) {
        rm_free(semantic);
        return status;
    }
    pthread_mutex_init(&semantic->lock, NULL);
    rm_map_init(&semantic->entries);
    rm_map_init(&semantic->name_spaces);
    *ret_semantic = semantic;
    return RM_OK;
}

static void release_entry(entry *e)
{
    if (--e->group->entries == 0)
        rm_free(e->group);
    rm_free(e);
}

void rm_semantic_destroy(rm_semantic *semantic)
{
    size_t cursor = 0;
    rm_key128 key;
    void *value;

    if (!semantic)
        return;
    while (rm_map_next(&semantic->entries, &cursor, &key, &value))
        release_entry(value);
    cursor = 0;
    while (rm_map_next(&semantic->name_spaces, &cursor, &key, &value))
        rm_free(value);
    rm_map_deinit(&semantic->entries);
    rm_map_deinit(&semantic->name_spaces);
    pthread_mutex_destroy(&semantic->lock);
    rm_guard_words_destroy(semantic->words);
    rm_free(semantic);
}

static rm_key128 key_of(uint64_t id)
{
    return (rm_key128){.hi = id, .lo = (id + 1) * GOLDEN};
}

/* Under the lock. NULL: no memory. */
static rm_evidence *evidence_of(rm_semantic *semantic, rm_slice name_space)
{
    rm_key128 key = rm_hash128(name_space);
    rm_evidence *evidence = rm_map_get(&semantic->name_spaces, key);

    if (evidence)
        return evidence;
    evidence = rm_alloc(sizeof(*evidence));
    if (!evidence)
        return NULL;
    rm_evidence_init(evidence, semantic->prior);
    if (rm_map_put(&semantic->name_spaces, key, evidence)) {
        rm_free(evidence);
        return NULL;
    }
    return evidence;
}

/* ---- what the neighbours say ------------------------------------------------------------------------------------- */

/* The answer that the neighbours speak for, near ones louder; its share of all votes. */
static const group *elect(const neighbour *found, uint32_t count, double *ret_share)
{
    const group *best = NULL;
    double votes[RM_SEMANTIC_NEIGHBOURS], most = 0, all = 0;

    for (uint32_t i = 0; i < count; i++)
        all += votes[i] = exp(VOTE_SHARPNESS * (found[i].similarity - found[0].similarity));
    for (uint32_t i = 0; i < count; i++) {
        double own = 0;
        for (uint32_t j = 0; j < count; j++)
            own += found[j].entry->group == found[i].entry->group ? votes[j] : 0;
        if (own > most) {
            most = own;
            best = found[i].entry->group;
        }
    }
    *ret_share = most / all;
    return best;
}

/* Features of the neighbourhood of `elected`. */
static void read_neighbours(const neighbour *found, uint32_t count, const group *elected, double *features)
{
    uint32_t place = count, own = 0;
    double other = -1, sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (found[i].entry->group != elected) {
            other = other < 0 ? fmax(found[i].similarity, 0) : other;
            continue;
        }
        place = place == count ? i : place;
        sum += own < 3 ? found[i].similarity : 0;
        own++;
    }
    const entry *nearest = found[place].entry;
    double s = found[place].similarity;
    bool full = count == RM_SEMANTIC_NEIGHBOURS, contradicted = nearest->worst >= -1;

    features[RM_FEATURE_one] = 1;
    features[RM_FEATURE_similarity] = s;
    features[RM_FEATURE_over_70] = fmax(s - 0.70, 0);
    features[RM_FEATURE_over_85] = fmax(s - 0.85, 0);
    features[RM_FEATURE_over_95] = fmax(s - 0.95, 0);
    features[RM_FEATURE_alone] = other < 0;
    features[RM_FEATURE_sparse] = !full;
    if (other < 0)
        other = full ? found[count - 1].similarity : NOTHING_NEAR;
    features[RM_FEATURE_margin] = s - other;
    features[RM_FEATURE_share] = (double)own / RM_SEMANTIC_NEIGHBOURS;
    features[RM_FEATURE_mean_3] = sum / (own < 3 ? own : 3);
    features[RM_FEATURE_contradicted] = contradicted;
    features[RM_FEATURE_over_wrong] = contradicted ? fmax(s - (double)nearest->worst, 0) : 0;
    features[RM_FEATURE_answer_entries] = log1p(elected->entries);
    features[RM_FEATURE_entry_right] = log1p(nearest->right);
    features[RM_FEATURE_entry_wrong] = log1p(nearest->wrong);
}

static void read_guards(const rm_guard_result *result, double *features)
{
#define X(name) features[RM_FEATURE_##name] = (double)result->name;
    RM_GUARD_FEATURES(X)
#undef X
    features[RM_FEATURE_unguarded] = result->flags == 0;
    features[RM_FEATURE_same_words] = result->flags == 0 && result->word_jaccard >= 1;
#define X(code, name, text) features[RM_FEATURE_##code] = (result->flags & RM_GUARD_BIT(code)) ? 1 : 0;
    RM_GUARD_TABLE(X)
#undef X
}

/* ---- deciding ---------------------------------------------------------------------------------------------------- */

/* Under the lock: the neighbours that are still entries. */
static uint32_t resolve(rm_semantic *semantic, const rm_semantic_decision *decision, neighbour *ret_found)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < decision->count; i++) {
        rm_index_hit hit = decision->neighbours[i];
        entry *e = rm_map_get(&semantic->entries, key_of(hit.id));
        if (e)
            ret_found[count++] = (neighbour){hit, (double)hit.similarity, e};
    }
    return count;
}

/* The elected group's nearest entries. */
typedef struct candidates {
    uint32_t count;
    rm_index_hit hits[CANDIDATES];
} candidates;

/* What the neighbours say; without any, *ret_candidates stays empty. Under the lock. */
static void choose(rm_semantic *semantic, rm_semantic_decision *decision, candidates *ret_candidates)
{
    neighbour found[RM_SEMANTIC_NEIGHBOURS];
    uint32_t count = resolve(semantic, decision, found);

    if (count == 0)
        return;
    const group *elected = elect(found, count, &decision->features[RM_FEATURE_vote]);
    read_neighbours(found, count, elected, decision->features);
    for (uint32_t i = 0; i < count && ret_candidates->count < CANDIDATES; i++)
        if (found[i].entry->group == elected)
            ret_candidates->hits[ret_candidates->count++] = found[i].hit;
}

static uint32_t vetoes_of(const rm_semantic *semantic)
{
    return ~(VETOES_NEVER | semantic->options.guards_ignored);
}

/* Compares with one alias. RM_ENOTFOUND: its text is gone, or none that guards can read. */
static rm_status compare_with(rm_semantic *semantic, uint64_t id, const rm_guard_text *asked, rm_arena *arena,
                              rm_guard_result *ret_result)
{
    rm_guard_text *cached;
    rm_buf text;

    rm_buf_init(&text, RM_GUARD_TEXT_BYTES_MAX);
    rm_status status = semantic->options.text(id, &text, semantic->options.user);
    if (!status)
        status = rm_guard_analyse(semantic->words, rm_buf_slice(&text), arena, &cached);
    if (status == RM_EPARSE || status == RM_ETOOBIG)
        status = RM_ENOTFOUND;
    if (!status)
        rm_guard_compare(cached, asked, ret_result);
    rm_buf_deinit(&text);
    return status;
}

/* What both texts have in common: of the candidates whose texts are there, nearest first, the first that no guard stops, else
 * the nearest. That one is the decision's. */
static rm_status compare_texts(rm_semantic *semantic, const rm_semantic_ask *ask, const candidates *c,
                               rm_semantic_decision *decision)
{
    rm_guard_result result;
    rm_guard_text *asked;
    rm_arena arena;
    bool passes = false;

    rm_arena_init(&arena, NULL, ANALYSIS_BYTES);
    rm_status status = rm_guard_analyse(semantic->words, ask->text, &arena, &asked);
    for (uint32_t i = 0; !status && !passes && i < c->count; i++) {
        status = compare_with(semantic, c->hits[i].id, asked, &arena, &result);
        if (status == RM_ENOTFOUND) {
            status = RM_OK;
            continue;
        }
        passes = !status && !(result.flags & vetoes_of(semantic));
        if (passes || (!status && !decision->candidate)) {
            read_guards(&result, decision->features);
            decision->guards = result.flags;
            decision->entry = c->hits[i].id;
            decision->similarity = c->hits[i].similarity;
            decision->candidate = true;
        }
    }
    rm_arena_deinit(&arena);
    return status;
}

static bool audited(const rm_semantic *semantic, const rm_evidence *evidence)
{
    uint64_t words[2] = {semantic->options.seed, evidence->requests};
    uint64_t draw = rm_hash64(rm_slice_make((const char *)words, sizeof(words)));

    return (double)(draw >> 11) * 0x1p-53 < semantic->options.audit_share;
}

/* Under the lock. */
static rm_verdict weigh(rm_semantic *semantic, rm_evidence *evidence, double max_error, rm_semantic_decision *decision)
{
    uint32_t vetoes = decision->guards & vetoes_of(semantic);
    const entry *e = decision->candidate ? rm_map_get(&semantic->entries, key_of(decision->entry)) : NULL;

    decision->limit = rm_evidence_limit(evidence, max_error);
    decision->likely = e ? rm_evidence_risk(evidence, &e->group->offset, decision->features) : 1;
    decision->risk = fmax(decision->likely, rm_evidence_guard_risk(evidence, vetoes));
    rm_evidence_count(evidence, decision->risk);
    if (!e || decision->likely > decision->limit)
        return RM_VERDICT_MISS;
    if (decision->risk > decision->limit) {
        evidence->vetoed++;
        return RM_VERDICT_VETO;
    }
    if (e->group->quarantine)
        return RM_VERDICT_QUARANTINE;
    if (!rm_evidence_affords(evidence, decision->risk, max_error))
        return RM_VERDICT_BUDGET;
    if (audited(semantic, evidence))
        return RM_VERDICT_AUDIT;
    rm_evidence_spend(evidence, decision->risk);
    return RM_VERDICT_HIT;
}

rm_status rm_semantic_decide(rm_semantic *semantic, const rm_semantic_ask *ask, rm_semantic_decision *ret_decision)
{
    rm_semantic_decision decision = {.verdict = RM_VERDICT_MISS};
    candidates found = {0};
    rm_status status = rm_index_search(semantic->options.index, ask->partition, ask->vector, RM_SEMANTIC_NEIGHBOURS,
                                       decision.neighbours, &decision.count);
    if (status)
        return status;
    pthread_mutex_lock(&semantic->lock);
    choose(semantic, &decision, &found);
    pthread_mutex_unlock(&semantic->lock);
    status = compare_texts(semantic, ask, &found, &decision);
    if (status)
        return status;
    pthread_mutex_lock(&semantic->lock);
    rm_evidence *evidence = evidence_of(semantic, ask->name_space);
    if (evidence)
        decision.verdict = weigh(semantic, evidence, ask->max_error, &decision);
    pthread_mutex_unlock(&semantic->lock);
    if (!evidence)
        return RM_ENOMEM;
    *ret_decision = decision;
    return RM_OK;
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

static void count_up(uint16_t *count)
{
    *count += *count < UINT16_MAX;
}

/* Under the lock: what the fresh answer says of the candidate. */
static void label_candidate(rm_semantic *semantic, rm_evidence *evidence, const rm_semantic_decision *decision,
                            const rm_semantic_answer *fresh)
{
    const entry *e = decision->candidate ? rm_map_get(&semantic->entries, key_of(decision->entry)) : NULL;
    rm_judgement judged = e ? rm_semantic_judge(&e->group->text, fresh) : RM_JUDGED_UNKNOWN;
    bool right = judged == RM_JUDGED_EQUAL, audit = decision->verdict == RM_VERDICT_AUDIT;

    if (judged == RM_JUDGED_UNKNOWN)
        return;
    bool near = decision->likely <= NEAR_LIMIT * decision->limit;
    rm_evidence_learn(evidence, semantic->prior, &e->group->offset, decision->features, decision->likely, right,
                      audit  ? 1
                      : near ? NEAR_WEIGHT
                             : 0);
    if (near)
        rm_evidence_learn_guards(evidence, decision->guards & vetoes_of(semantic), right);
    if (audit) {
        evidence->audited++;
        evidence->audited_wrong += !right;
    }
    if (!right && (audit || e->group->quarantine))
        e->group->quarantine = QUARANTINE;
    else if (right && e->group->quarantine)
        e->group->quarantine--;
}

/* Under the lock: what it says of the neighbours; returns the answer among theirs that equals it, or NULL. */
static group *label_neighbours(rm_semantic *semantic, const rm_semantic_decision *decision,
                               const rm_semantic_answer *fresh)
{
    neighbour found[RM_SEMANTIC_NEIGHBOURS];
    uint32_t count = resolve(semantic, decision, found);
    group *same = NULL;

    for (uint32_t i = 0; i < count; i++) {
        entry *e = found[i].entry;
        rm_judgement judged = rm_semantic_judge(&e->group->text, fresh);
        if (judged == RM_JUDGED_EQUAL)
            same = same ? same : e->group;
        if (i >= WITNESSES || judged == RM_JUDGED_UNKNOWN)
            continue;
        count_up(judged == RM_JUDGED_EQUAL ? &e->right : &e->wrong);
        if (judged == RM_JUDGED_DIFFERENT)
            e->worst = fmaxf(e->worst, (float)found[i].similarity);
    }
    return same;
}

/* Under the lock. */
static rm_status add_entry(rm_semantic *semantic, uint64_t id, group *same, const rm_semantic_answer *fresh)
{
    entry *e = rm_alloc(sizeof(*e));
    group *own = same ? same : rm_calloc(1, sizeof(*own));

    if (e && own) {
        if (!same) {
            own->text = *fresh;
            rm_evidence_offset_init(&own->offset);
        }
        *e = (entry){.group = own, .worst = -2};
        own->entries++;
        if (rm_map_put(&semantic->entries, key_of(id), e) == RM_OK)
            return RM_OK;
        own->entries--;
    }
    if (!same)
        rm_free(own);
    rm_free(e);
    return RM_ENOMEM;
}

static bool admissible(rm_semantic *semantic, rm_slice text)
{
    rm_guard_text *analysed;
    rm_arena arena;

    rm_arena_init(&arena, NULL, ANALYSIS_BYTES);
    bool admitted =
        rm_guard_analyse(semantic->words, text, &arena, &analysed) == RM_OK && rm_guard_admissible(analysed);
    rm_arena_deinit(&arena);
    return admitted;
}

rm_status rm_semantic_learn(rm_semantic *semantic, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                            const rm_semantic_answer *answer, uint64_t id)
{
    bool adding = id != UINT64_MAX, admitted = adding && admissible(semantic, ask->text);
    rm_status status = RM_OK;

    pthread_mutex_lock(&semantic->lock);
    rm_evidence *evidence = evidence_of(semantic, ask->name_space);
    if (evidence)
        label_candidate(semantic, evidence, decision, answer);
    group *same = label_neighbours(semantic, decision, answer);
    if (admitted)
        status = add_entry(semantic, id, same, answer);
    pthread_mutex_unlock(&semantic->lock);
    if (!admitted)
        return adding ? RM_EREFUSED : RM_OK;
    if (!status)
        status = rm_index_add(semantic->options.index, ask->partition, id, ask->vector);
    if (status)
        rm_semantic_forget(semantic, ask->partition, id);
    return status;
}

void rm_semantic_forget(rm_semantic *semantic, rm_key128 partition, uint64_t id)
{
    rm_status status = rm_index_remove(semantic->options.index, partition, id);
    (void)status; /* not there: as it should be; no memory to note it: found, and then no entry */
    pthread_mutex_lock(&semantic->lock);
    entry *e = rm_map_remove(&semantic->entries, key_of(id));
    if (e)
        release_entry(e);
    pthread_mutex_unlock(&semantic->lock);
}

rm_status rm_semantic_get_stats(rm_semantic *semantic, rm_slice name_space, rm_semantic_stats *ret_stats)
{
    pthread_mutex_lock(&semantic->lock);
    const rm_evidence *evidence = rm_map_get(&semantic->name_spaces, rm_hash128(name_space));
    if (evidence)
        *ret_stats = (rm_semantic_stats){.requests = evidence->requests,
                                         .served = evidence->served,
                                         .audited = evidence->audited,
                                         .audited_wrong = evidence->audited_wrong,
                                         .vetoed = evidence->vetoed,
                                         .labels = evidence->labels,
                                         .labels_right = evidence->labels_right,
                                         .spent = evidence->spent,
                                         .correction = rm_evidence_correction(evidence)};
    pthread_mutex_unlock(&semantic->lock);
    return evidence ? RM_OK : RM_ENOTFOUND;
}

double rm_semantic_upper95(uint64_t wrong, uint64_t total)
{
    return rm_evidence_upper95((double)wrong, (double)total);
}
