/* The semantic cache: semantic.h says what it is for.
 *
 *     entry ──► group (entries whose answers were judged equal: aliases)
 *     name space ──► evidence
 *
 * Vectors lie in the index and texts with the owner; here is what is small: about 100 bytes an entry. One lock over all of it
 * is held for microseconds; searching, reading texts and comparing them happen outside. */
#include "semantic_state.h"

#include <math.h>
#include <string.h>

_Static_assert(RM_EVIDENCE_FEATURES <= RM_SEMANTIC_FEATURES_MAX, "decisions carry all features");
_Static_assert(RM_GUARD_COUNT <= RM_SEMANTIC_GUARDS_MAX, "stats count all guards");

#define VOTE_SHARPNESS  25.0 /* a neighbour 0.04 further away has a third of the vote */
#define CANDIDATES      4    /* entries of the elected group that texts are compared with */
#define WITNESSES       5    /* neighbours whose own record a label changes */
#define NEAR_LIMIT      1.3  /* labels of risks up to so many limits correct the risks */
#define NEAR_WEIGHT     0.15 /* of such a label, in audits */
#define QUARANTINE      2    /* right labels in a row that end it */
#define NOTHING_NEAR    0.3  /* similarity of the next answer where fewer neighbours than asked for were found */
#define ANALYSIS_BYTES  RM_MIB
#define EQUAL_AT        0.88F /* similarity of answers that say the same, unless a guard sees a difference */
#define DIFFERENT_AT    0.60F /* ... and of those that do not; between them nothing is known */
#define OPEN_SIMILARITY 0.6F  /* of questions, from which a label is worth a second opinion */
#define CONFIRMATIONS   2     /* tenants who had an answer, before it is served to a further one */

/* Guards that forbid a hit; the others are features of the risk alone, for they fire on paraphrases too. */
#define VETOES_NEVER (RM_GUARD_BIT(SUBSTITUTION) | RM_GUARD_BIT(ADDITION) | RM_GUARD_BIT(ENTITY))

/* What must not differ in answers that are to count as equal. */
#define ANSWER_GUARDS                                                                             \
    (RM_GUARD_BIT(NUMBERS) | RM_GUARD_BIT(UNITS) | RM_GUARD_BIT(DATES) | RM_GUARD_BIT(NEGATION) | \
     RM_GUARD_BIT(ANTONYM) | RM_GUARD_BIT(ENTITY) | RM_GUARD_BIT(CODE) | RM_GUARD_BIT(LANGUAGE) | \
     RM_GUARD_BIT(CONTAINED))

typedef rm_semantic__group group;
typedef rm_semantic__entry entry;
typedef rm_semantic__space space;

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

const char *rm_semantic_guard_name(unsigned guard)
{
    return guard < RM_GUARD_COUNT ? rm_guard_name((rm_guard)guard) : NULL;
}

const char *rm_semantic_guard_text(unsigned guard)
{
    return guard < RM_GUARD_COUNT ? rm_guard_text_of((rm_guard)guard) : NULL;
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
    rm_map_init(&semantic->spaces);
    rm_map_init(&semantic->groups);
    rm_list_init(&semantic->dirty);
    *ret_semantic = semantic;
    return RM_OK;
}

/* One that is being restored may get entries yet. */
static void free_group(rm_semantic *semantic, group *g)
{
    if (rm_map_get(&semantic->groups, rm_semantic__key_of(g->id)) == g)
        return;
    if (rm_link_linked(&g->dirt.link))
        rm_list_remove(&g->dirt.link);
    rm_free(g);
}

/* Under the lock. */
void rm_semantic__release_entry(rm_semantic *semantic, entry *e)
{
    if (rm_link_linked(&e->dirt.link))
        rm_list_remove(&e->dirt.link);
    if (--e->group->entries == 0)
        free_group(semantic, e->group);
    rm_free(e);
}

void rm_semantic__join_group(rm_semantic *semantic, entry *e, group *g)
{
    group *before = e->group;

    if (before == g)
        return;
    e->group = g;
    g->entries++;
    if (--before->entries == 0)
        free_group(semantic, before);
    rm_semantic__soil(semantic, &e->dirt);
}

void rm_semantic_destroy(rm_semantic *semantic)
{
    size_t cursor = 0;
    rm_key128 key;
    void *value;

    if (!semantic)
        return;
    rm_semantic__restored(semantic); /* where that was under way: its groups are the entries' from here on */
    while (rm_map_next(&semantic->entries, &cursor, &key, &value))
        rm_semantic__release_entry(semantic, value);
    cursor = 0;
    while (rm_map_next(&semantic->spaces, &cursor, &key, &value))
        rm_free(value);
    rm_map_deinit(&semantic->entries);
    rm_map_deinit(&semantic->spaces);
    rm_map_deinit(&semantic->groups);
    pthread_mutex_destroy(&semantic->lock);
    rm_guard_words_destroy(semantic->words);
    rm_free(semantic);
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
        entry *e = rm_map_get(&semantic->entries, rm_semantic__key_of(hit.id));
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

/* Under the lock. NULL: there is none, or it is gone. */
static entry *candidate_of(rm_semantic *semantic, const rm_semantic_decision *decision)
{
    return decision->candidate ? rm_map_get(&semantic->entries, rm_semantic__key_of(decision->entry)) : NULL;
}

static bool audited(const rm_semantic *semantic, const rm_evidence *evidence)
{
    uint64_t words[2] = {semantic->options.seed, evidence->requests};
    uint64_t draw = rm_hash64(rm_slice_make((const char *)words, sizeof(words)));

    return (double)(draw >> 11) * 0x1p-53 < semantic->options.audit_share;
}

static void count_guards(space *in, uint32_t vetoes)
{
    in->counts.vetoed++;
    for (unsigned i = 0; i < RM_GUARD_COUNT; i++)
        in->counts.guards[i] += vetoes >> i & 1;
}

/* Whether the answer may go to this tenant: it had it once itself, or enough others have. */
static bool confirmed(const group *g, uint64_t tenant)
{
    unsigned others = 0;

    if (tenant == 0)
        return true;
    for (unsigned i = 0; i < RM_SEMANTIC__TENANTS; i++) {
        if (g->tenants[i] == tenant)
            return true;
        others += g->tenants[i] != 0;
    }
    return others >= CONFIRMATIONS;
}

/* Under the lock. */
static rm_verdict weigh(rm_semantic *semantic, space *in, const rm_semantic_ask *ask, rm_semantic_decision *decision)
{
    rm_evidence *evidence = &in->evidence;
    double max_error = ask->max_error;
    uint32_t vetoes = decision->guards & vetoes_of(semantic);
    const entry *e = candidate_of(semantic, decision);

    in->counts.shadow_requests += ask->shadow;
    if (e)
        decision->record = e->record;
    decision->limit = rm_evidence_limit(evidence, max_error);
    decision->likely = e ? rm_evidence_risk(evidence, &e->group->offset, decision->features) : 1;
    decision->risk = rm_evidence_guard_risk(evidence, decision->likely, vetoes);
    rm_evidence_count(evidence, decision->risk);
    if (!e || decision->likely > decision->limit)
        return RM_VERDICT_MISS;
    if (decision->risk > decision->limit) {
        count_guards(in, vetoes);
        return RM_VERDICT_VETO;
    }
    if (e->group->quarantine) {
        in->counts.quarantined++;
        return RM_VERDICT_QUARANTINE;
    }
    if (!confirmed(e->group, ask->tenant)) {
        in->counts.unconfirmed++;
        return RM_VERDICT_UNCONFIRMED;
    }
    if (!rm_evidence_affords(evidence, decision->risk, max_error)) {
        in->counts.over_budget++;
        return RM_VERDICT_BUDGET;
    }
    if (audited(semantic, evidence))
        return RM_VERDICT_AUDIT;
    rm_evidence_spend(evidence, decision->risk);
    if (ask->shadow)
        return RM_VERDICT_AUDIT;
    in->counts.served++;
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
    space *in = rm_semantic__space_of(semantic, ask->name_space);
    if (in) {
        decision.verdict = weigh(semantic, in, ask, &decision);
        rm_semantic__soil(semantic, &in->dirt);
    }
    bool full = semantic->spaces.count >= RM_SEMANTIC_NAMESPACES_MAX;
    pthread_mutex_unlock(&semantic->lock);
    if (!in)
        return full ? RM_EFULL : RM_ENOMEM;
    *ret_decision = decision;
    return RM_OK;
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

static void count_up(uint16_t *count)
{
    *count += *count < UINT16_MAX;
}

static void count_audit(space *in, bool shadow, bool right)
{
    in->counts.audited++;
    in->counts.audited_wrong += !right;
    in->counts.shadow_right += shadow && right;
    in->counts.shadow_wrong += shadow && !right;
}

/* Under the lock. */
static void label(rm_semantic *semantic, space *in, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                  group *g, bool right)
{
    bool audit = decision->verdict == RM_VERDICT_AUDIT, near = decision->likely <= NEAR_LIMIT * decision->limit;

    rm_evidence_learn(&in->evidence, semantic->prior, &g->offset, decision->features, decision->likely, right,
                      audit  ? 1
                      : near ? NEAR_WEIGHT
                             : 0);
    if (near)
        rm_evidence_learn_guards(&in->evidence, decision->likely, decision->guards & vetoes_of(semantic), right);
    if (audit)
        count_audit(in, ask->shadow, right);
    if (!right && (audit || g->quarantine))
        g->quarantine = QUARANTINE;
    else if (right && g->quarantine)
        g->quarantine--;
    rm_semantic__soil(semantic, &g->dirt);
    rm_semantic__soil(semantic, &in->dirt);
}

/* Under the lock: what the fresh answer says of the candidate. */
static void label_candidate(rm_semantic *semantic, space *in, const rm_semantic_ask *ask,
                            const rm_semantic_decision *decision, const rm_semantic_answer *fresh)
{
    const entry *e = candidate_of(semantic, decision);
    rm_judgement judged = e ? rm_semantic_judge(&e->group->text, fresh) : RM_JUDGED_UNKNOWN;

    in->counts.shadow_hits += ask->shadow && decision->verdict == RM_VERDICT_AUDIT;
    if (judged != RM_JUDGED_UNKNOWN)
        label(semantic, in, ask, decision, e->group, judged == RM_JUDGED_EQUAL);
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
        rm_semantic__soil(semantic, &e->dirt);
    }
    return same;
}

/* Under the lock. */
static void add_tenant(rm_semantic *semantic, group *g, uint64_t tenant)
{
    unsigned free = 0;

    while (free < RM_SEMANTIC__TENANTS && g->tenants[free] && g->tenants[free] != tenant)
        free++;
    if (tenant == 0 || free == RM_SEMANTIC__TENANTS || g->tenants[free] == tenant)
        return;
    g->tenants[free] = tenant;
    rm_semantic__soil(semantic, &g->dirt);
}

/* Under the lock. */
static rm_status add_entry(rm_semantic *semantic, const rm_semantic_ask *ask, uint64_t id, group *same,
                           const rm_semantic_answer *fresh)
{
    entry *e = rm_alloc(sizeof(*e));
    group *own = same ? same : rm_calloc(1, sizeof(*own));

    if (e && own) {
        if (!same) {
            own->dirt.kind = RM_SEMANTIC__GROUP;
            own->id = id;
            own->text = *fresh;
            rm_evidence_offset_init(&own->offset);
        }
        *e = (entry){.dirt = {.kind = RM_SEMANTIC__ENTRY},
                     .id = id,
                     .partition = ask->partition,
                     .record = ask->record,
                     .group = own,
                     .worst = -2};
        own->entries++;
        if (rm_map_put(&semantic->entries, rm_semantic__key_of(id), e) == RM_OK) {
            add_tenant(semantic, own, ask->tenant);
            return RM_OK;
        }
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
    space *in = rm_semantic__space_of(semantic, ask->name_space);
    if (in) {
        label_candidate(semantic, in, ask, decision, answer);
        rm_semantic__soil(semantic, &in->dirt);
    }
    group *same = label_neighbours(semantic, decision, answer);
    if (same)
        add_tenant(semantic, same, ask->tenant);
    if (admitted)
        status = add_entry(semantic, ask, id, same, answer);
    pthread_mutex_unlock(&semantic->lock);
    if (!admitted)
        return adding ? RM_EREFUSED : RM_OK;
    if (!status)
        status = rm_index_add(semantic->options.index, ask->partition, id, ask->vector);
    if (status)
        rm_semantic_forget(semantic, ask->partition, id);
    return status;
}

/* ---- second opinions --------------------------------------------------------------------------------------------- */

bool rm_semantic_is_open(rm_semantic *semantic, const rm_semantic_decision *decision, const rm_semantic_answer *fresh)
{
    bool open = decision->verdict == RM_VERDICT_AUDIT || decision->similarity >= OPEN_SIMILARITY;

    if (!decision->candidate || !open)
        return false;
    pthread_mutex_lock(&semantic->lock);
    const entry *e = candidate_of(semantic, decision);
    open = e && rm_semantic_judge(&e->group->text, fresh) == RM_JUDGED_UNKNOWN;
    pthread_mutex_unlock(&semantic->lock);
    return open;
}

rm_judgement rm_semantic_judge_near(rm_semantic *semantic, rm_slice a, rm_slice b, float similarity)
{
    rm_guard_result result = {0};
    rm_guard_text *left, *right;
    rm_arena arena;

    if (similarity <= DIFFERENT_AT)
        return RM_JUDGED_DIFFERENT;
    if (similarity < EQUAL_AT)
        return RM_JUDGED_UNKNOWN;
    rm_arena_init(&arena, NULL, 2 * ANALYSIS_BYTES);
    rm_status status = rm_guard_analyse(semantic->words, a, &arena, &left);
    if (!status)
        status = rm_guard_analyse(semantic->words, b, &arena, &right);
    if (!status)
        rm_guard_compare(left, right, &result);
    rm_arena_deinit(&arena);
    return status || (result.flags & ANSWER_GUARDS) ? RM_JUDGED_UNKNOWN : RM_JUDGED_EQUAL;
}

void rm_semantic_label(rm_semantic *semantic, const rm_semantic_ask *ask, const rm_semantic_decision *decision,
                       uint64_t id, bool right)
{
    pthread_mutex_lock(&semantic->lock);
    space *in = rm_semantic__space_of(semantic, ask->name_space);
    entry *e = candidate_of(semantic, decision), *own = rm_map_get(&semantic->entries, rm_semantic__key_of(id));
    if (in && e)
        label(semantic, in, ask, decision, e->group, right);
    if (e && right)
        add_tenant(semantic, e->group, ask->tenant);
    if (e && own && right)
        rm_semantic__join_group(semantic, own, e->group);
    if (e && own) {
        count_up(right ? &e->right : &e->wrong);
        if (!right)
            e->worst = fmaxf(e->worst, decision->similarity);
        rm_semantic__soil(semantic, &e->dirt);
    }
    pthread_mutex_unlock(&semantic->lock);
}

void rm_semantic_forget(rm_semantic *semantic, rm_key128 partition, uint64_t id)
{
    rm_status status = rm_index_remove(semantic->options.index, partition, id);
    (void)status; /* not there: as it should be; no memory to note it: found, and then no entry */
    pthread_mutex_lock(&semantic->lock);
    entry *e = rm_map_remove(&semantic->entries, rm_semantic__key_of(id));
    if (e)
        rm_semantic__release_entry(semantic, e);
    pthread_mutex_unlock(&semantic->lock);
}

void rm_semantic_withdraw(rm_semantic *semantic, rm_slice name_space, rm_semantic_decision *decision)
{
    if (decision->verdict != RM_VERDICT_HIT)
        return;
    decision->verdict = RM_VERDICT_AUDIT;
    pthread_mutex_lock(&semantic->lock);
    space *in = rm_semantic__space_of(semantic, name_space);
    if (in) {
        in->counts.served--;
        rm_semantic__soil(semantic, &in->dirt);
    }
    pthread_mutex_unlock(&semantic->lock);
}

void rm_semantic_feedback(rm_semantic *semantic, rm_slice name_space, const rm_semantic_decision *decision, bool right)
{
    pthread_mutex_lock(&semantic->lock);
    space *in = rm_semantic__space_of(semantic, name_space);
    entry *e = candidate_of(semantic, decision);
    if (in) {
        in->counts.feedback_right += right;
        in->counts.feedback_wrong += !right;
        rm_semantic__soil(semantic, &in->dirt);
    }
    if (in && !right && decision->verdict == RM_VERDICT_HIT)
        rm_evidence_spend_error(&in->evidence, decision->risk);
    if (in && e) {
        /* People tell of wrong answers sooner than of right ones, so the share of them says nothing of the risks. */
        rm_evidence_learn(&in->evidence, semantic->prior, &e->group->offset, decision->features, decision->likely,
                          right, 0);
        if (!right)
            e->group->quarantine = QUARANTINE;
        rm_semantic__soil(semantic, &e->group->dirt);
    }
    pthread_mutex_unlock(&semantic->lock);
}

float rm_semantic_similarity(const float *a, const float *b, uint32_t dimensions)
{
    float sums[8] = {0}, sum = 0;
    uint32_t i = 0;

    for (; i + 8 <= dimensions; i += 8)
        for (uint32_t j = 0; j < 8; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < dimensions; i++)
        sum += a[i] * b[i];
    for (uint32_t j = 0; j < 8; j++)
        sum += sums[j];
    return sum;
}

double rm_semantic_upper95(uint64_t wrong, uint64_t total)
{
    return rm_evidence_upper95((double)wrong, (double)total);
}
