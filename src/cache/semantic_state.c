/* The semantic cache's state: namespaces, what has changed since it was stored, and putting back what was stored. */
#include <string.h>

#include "semantic_state.h"

#define GOLDEN        0x9e3779b97f4a7c15ULL
#define NOTE_VERSION  1
#define NOTE_OF_GROUP 1 /* the .lo of a note's name */
#define NOTE_OF_SPACE 2

typedef rm_semantic__group group;
typedef rm_semantic__entry entry;
typedef rm_semantic__space space;

rm_key128 rm_semantic__key_of(uint64_t id)
{
    return (rm_key128){.hi = id, .lo = (id + 1) * GOLDEN};
}

void rm_semantic__soil(rm_semantic *semantic, rm_semantic__dirt *dirt)
{
    if (!rm_link_linked(&dirt->link))
        rm_list_append(&semantic->dirty, &dirt->link);
}

/* ---- namespaces -------------------------------------------------------------------------------------------------- */

rm_semantic__space *rm_semantic__space_of(rm_semantic *semantic, rm_slice name)
{
    rm_key128 key = rm_hash128(name);
    space *found = rm_map_get(&semantic->spaces, key);

    if (found || semantic->spaces.count >= RM_SEMANTIC_NAMESPACES_MAX || name.len > RM_NAMESPACE_BYTES_MAX)
        return found;
    found = rm_calloc(1, sizeof(*found));
    if (!found)
        return NULL;
    found->dirt.kind = RM_SEMANTIC__SPACE;
    found->key = key;
    *rm_slice_put(found->name, name) = '\0';
    rm_evidence_init(&found->evidence, semantic->prior);
    if (rm_map_put(&semantic->spaces, key, found) == RM_OK)
        return found;
    rm_free(found);
    return NULL;
}

static rm_semantic_stats stats_of(const space *s)
{
    rm_semantic_stats stats = {
        .requests = s->evidence.requests,
        .labels = s->evidence.labels,
        .labels_right = s->evidence.labels_right,
#define X(name) .name = s->counts.name,
        RM_SEMANTIC_STATS(X)
#undef X
            .saved_usd = s->counts.saved_usd,
        .shadow_usd = s->counts.shadow_usd,
        .spent = s->evidence.spent,
        .correction = rm_evidence_correction(&s->evidence),
    };
    memcpy(stats.guards, s->counts.guards, sizeof(stats.guards));
    return stats;
}

rm_status rm_semantic_get_stats(rm_semantic *semantic, rm_slice name_space, rm_semantic_stats *ret_stats)
{
    pthread_mutex_lock(&semantic->lock);
    const space *found = rm_map_get(&semantic->spaces, rm_hash128(name_space));
    if (found)
        *ret_stats = stats_of(found);
    pthread_mutex_unlock(&semantic->lock);
    return found ? RM_OK : RM_ENOTFOUND;
}

size_t rm_semantic_list_spaces(rm_semantic *semantic, rm_semantic_space *ret_spaces, size_t count_max)
{
    size_t cursor = 0, count = 0;
    rm_key128 key;
    void *value;

    pthread_mutex_lock(&semantic->lock);
    while (count < count_max && rm_map_next(&semantic->spaces, &cursor, &key, &value)) {
        const space *s = value;
        memcpy(ret_spaces[count].name, s->name, sizeof(s->name));
        ret_spaces[count++].stats = stats_of(s);
    }
    pthread_mutex_unlock(&semantic->lock);
    return count;
}

void rm_semantic_saved(rm_semantic *semantic, rm_slice name_space, bool shadow, double usd)
{
    if (usd <= 0)
        return;
    pthread_mutex_lock(&semantic->lock);
    space *s = rm_semantic__space_of(semantic, name_space);
    if (s) {
        *(shadow ? &s->counts.shadow_usd : &s->counts.saved_usd) += usd;
        rm_semantic__soil(semantic, &s->dirt);
    }
    pthread_mutex_unlock(&semantic->lock);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static rm_semantic__origin origin_of(const entry *e)
{
    return (rm_semantic__origin){
        .id = e->id, .group = e->group->id, .partition = e->partition, .record = e->record, .answer = e->group->text};
}

rm_status rm_semantic__get_origin(rm_semantic *semantic, uint64_t id, rm_semantic__origin *ret_origin)
{
    pthread_mutex_lock(&semantic->lock);
    const entry *e = rm_map_get(&semantic->entries, rm_semantic__key_of(id));
    if (e)
        *ret_origin = origin_of(e);
    pthread_mutex_unlock(&semantic->lock);
    return e ? RM_OK : RM_ENOTFOUND;
}

size_t rm_semantic__list(rm_semantic *semantic, size_t *cursor, rm_semantic__origin *ret_origins, size_t count_max)
{
    size_t count = 0;
    rm_key128 key;
    void *value = NULL;

    pthread_mutex_lock(&semantic->lock);
    while (count < count_max && rm_map_next(&semantic->entries, cursor, &key, &value))
        ret_origins[count++] = origin_of(value);
    if (count < count_max)
        *cursor = 0;
    pthread_mutex_unlock(&semantic->lock);
    return count;
}

/* Under the lock. The group may have lost its first entry, and still goes by its name. NULL: no memory. */
static group *restore_group(rm_semantic *semantic, const rm_semantic__origin *origin)
{
    group *g = rm_map_get(&semantic->groups, rm_semantic__key_of(origin->group));

    if (g)
        return g;
    g = rm_calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->dirt.kind = RM_SEMANTIC__GROUP;
    g->id = origin->group;
    g->text = origin->answer;
    rm_evidence_offset_init(&g->offset);
    if (rm_map_put(&semantic->groups, rm_semantic__key_of(origin->group), g) == RM_OK)
        return g;
    rm_free(g);
    return NULL;
}

/* Under the lock. */
static rm_status restore_entry(rm_semantic *semantic, const rm_semantic__origin *origin)
{
    entry *e = rm_alloc(sizeof(*e));
    group *g = e ? restore_group(semantic, origin) : NULL;

    if (!g) {
        rm_free(e);
        return RM_ENOMEM;
    }
    *e = (entry){.dirt = {.kind = RM_SEMANTIC__ENTRY},
                 .id = origin->id,
                 .partition = origin->partition,
                 .record = origin->record,
                 .group = g,
                 .worst = -2};
    rm_status status = rm_map_put(&semantic->entries, rm_semantic__key_of(origin->id), e);
    if (status == RM_OK)
        g->entries++;
    else
        rm_free(e);
    return status;
}

rm_status rm_semantic__restore(rm_semantic *semantic, const rm_semantic__origin *origin, const float *vector)
{
    rm_status status = RM_OK;

    pthread_mutex_lock(&semantic->lock);
    if (!rm_map_get(&semantic->entries, rm_semantic__key_of(origin->id)))
        status = restore_entry(semantic, origin);
    pthread_mutex_unlock(&semantic->lock);
    if (!status && vector)
        status = rm_index_add(semantic->options.index, origin->partition, origin->id, vector);
    if (status)
        rm_semantic_forget(semantic, origin->partition, origin->id);
    return status;
}

/* Groups that got no entry after all were never anybody's. */
void rm_semantic__restored(rm_semantic *semantic)
{
    size_t cursor = 0;
    rm_key128 key;
    void *value;

    pthread_mutex_lock(&semantic->lock);
    while (rm_map_next(&semantic->groups, &cursor, &key, &value)) {
        group *g = value;
        if (g->entries == 0)
            rm_free(g);
    }
    rm_map_deinit(&semantic->groups);
    rm_map_init(&semantic->groups);
    pthread_mutex_unlock(&semantic->lock);
}

/* ---- notes ------------------------------------------------------------------------------------------------------- */

typedef struct entry_note {
    uint32_t version;
    float worst;
    uint16_t right, wrong;
    uint64_t group; /* by now; the annex has the one that it began in */
} entry_note;

typedef struct group_note {
    uint32_t version, quarantine;
    rm_evidence_offset offset;
    uint64_t tenants[RM_SEMANTIC__TENANTS];
} group_note;

typedef struct space_note {
    uint32_t version, features; /* a hash of their names, in order: evidence of others means nothing */
    char name[RM_NAMESPACE_BYTES_MAX + 1];
    rm_evidence evidence;
    rm_semantic__counts counts;
} space_note;

static uint32_t features_hash(void)
{
    uint64_t hash = 0;

    for (unsigned i = 0; rm_semantic_feature_name(i); i++)
        hash = hash * GOLDEN + rm_hash64(rm_slice_cstr(rm_semantic_feature_name(i)));
    return (uint32_t)(hash >> 32);
}

static rm_status write_entry(const entry *e, rm_buf *bytes, rm_key128 *ret_name)
{
    entry_note note = {
        .version = NOTE_VERSION, .worst = e->worst, .right = e->right, .wrong = e->wrong, .group = e->group->id};

    *ret_name = (rm_key128){.hi = e->id};
    return rm_buf_append(bytes, &note, sizeof(note));
}

static rm_status write_group(const group *g, rm_buf *bytes, rm_key128 *ret_name)
{
    group_note note = {.version = NOTE_VERSION, .quarantine = g->quarantine, .offset = g->offset};

    memcpy(note.tenants, g->tenants, sizeof(note.tenants));
    *ret_name = (rm_key128){.hi = g->id, .lo = NOTE_OF_GROUP};
    return rm_buf_append(bytes, &note, sizeof(note));
}

static rm_status write_space(const space *s, rm_buf *bytes, rm_key128 *ret_name)
{
    space_note *note = rm_calloc(1, sizeof(*note));

    if (!note)
        return RM_ENOMEM;
    note->version = NOTE_VERSION;
    note->features = features_hash();
    memcpy(note->name, s->name, sizeof(note->name));
    note->evidence = s->evidence;
    note->counts = s->counts;
    *ret_name = (rm_key128){.hi = s->key.hi, .lo = NOTE_OF_SPACE};
    rm_status status = rm_buf_append(bytes, note, sizeof(*note));
    rm_free(note);
    return status;
}

static rm_status write_note(rm_semantic__dirt *dirt, rm_buf *bytes, rm_key128 *ret_name)
{
    switch (dirt->kind) {
    case RM_SEMANTIC__ENTRY:
        return write_entry(RM_CONTAINER_OF(dirt, entry, dirt), bytes, ret_name);
    case RM_SEMANTIC__GROUP:
        return write_group(RM_CONTAINER_OF(dirt, group, dirt), bytes, ret_name);
    case RM_SEMANTIC__SPACE:
        return write_space(RM_CONTAINER_OF(dirt, space, dirt), bytes, ret_name);
    }
    return RM_EINTERNAL;
}

rm_status rm_semantic__take_notes(rm_semantic *semantic, rm_buf *bytes, rm_store_note *notes, size_t count_max,
                                  size_t *ret_count)
{
    rm_status status = RM_OK;
    size_t count = 0;

    pthread_mutex_lock(&semantic->lock);
    while (count < count_max && !status && !rm_list_empty(&semantic->dirty)) {
        rm_semantic__dirt *dirt = RM_CONTAINER_OF(semantic->dirty.next, rm_semantic__dirt, link);
        size_t before = bytes->len;
        status = write_note(dirt, bytes, &notes[count].name);
        if (status)
            break;
        notes[count++].bytes.len = bytes->len - before;
        rm_list_remove(&dirt->link);
    }
    pthread_mutex_unlock(&semantic->lock);
    /* The memory has come to rest only now. */
    const char *at = bytes->ptr;
    for (size_t i = 0; i < count; i++) {
        notes[i].bytes.ptr = at;
        at += notes[i].bytes.len;
    }
    *ret_count = count;
    return count ? RM_OK : status;
}

/* False: of another version or shape. Each kind begins with its version. */
static bool copy_note(rm_slice bytes, void *ret_note, size_t size)
{
    uint32_t version;

    if (bytes.len != size)
        return false;
    memcpy(ret_note, bytes.ptr, size);
    memcpy(&version, ret_note, sizeof(version));
    return version == NOTE_VERSION;
}

/* Under the lock. Until all is restored an empty group waits for others. */
static void restore_membership(entry *e, group *g)
{
    e->group->entries--;
    e->group = g;
    g->entries++;
}

/* Under the lock. */
static rm_status read_entry(rm_semantic *semantic, uint64_t id, rm_slice bytes)
{
    entry *e = rm_map_get(&semantic->entries, rm_semantic__key_of(id));
    entry_note note;

    if (!e || !copy_note(bytes, &note, sizeof(note)))
        return RM_ENOTFOUND;
    group *g = rm_map_get(&semantic->groups, rm_semantic__key_of(note.group));
    if (g)
        restore_membership(e, g);
    e->worst = note.worst;
    e->right = note.right;
    e->wrong = note.wrong;
    return RM_OK;
}

/* Under the lock. */
static rm_status read_group(rm_semantic *semantic, uint64_t id, rm_slice bytes)
{
    group *g = rm_map_get(&semantic->groups, rm_semantic__key_of(id));
    group_note note;

    if (!g || !copy_note(bytes, &note, sizeof(note)))
        return RM_ENOTFOUND;
    g->quarantine = note.quarantine;
    g->offset = note.offset;
    memcpy(g->tenants, note.tenants, sizeof(g->tenants));
    return RM_OK;
}

/* Under the lock. */
static rm_status read_space(rm_semantic *semantic, rm_slice bytes)
{
    space_note *note = rm_alloc(sizeof(*note));
    rm_status status = RM_ENOTFOUND;

    if (!note)
        return RM_ENOMEM;
    bool known = copy_note(bytes, note, sizeof(*note)) && note->features == features_hash();
    note->name[sizeof(note->name) - 1] = '\0';
    space *s = known ? rm_semantic__space_of(semantic, rm_slice_cstr(note->name)) : NULL;
    if (s) {
        s->evidence = note->evidence;
        s->counts = note->counts;
        status = RM_OK;
    }
    rm_free(note);
    return status;
}

rm_status rm_semantic__restore_note(rm_semantic *semantic, const rm_store_note *note)
{
    rm_status status;

    pthread_mutex_lock(&semantic->lock);
    if (note->name.lo == NOTE_OF_SPACE)
        status = read_space(semantic, note->bytes);
    else if (note->name.lo == NOTE_OF_GROUP)
        status = read_group(semantic, note->name.hi, note->bytes);
    else
        status = read_entry(semantic, note->name.hi, note->bytes);
    pthread_mutex_unlock(&semantic->lock);
    return status;
}
