/* An upstream's head as the flight carries it: one blob with everything in it, so that all subscribers on all loops
 * share it. */
#include "proxy_internal.h"

static bool is_passed_on(const rm_upstream_head *head, const rm_header *header, rm_slice connection)
{
    static const rm_slice remora = {"x-remora-", 9};
    if (rm_slice_eq_nocase(header->name, RM_SLICE("content-length")) ||
        rm_slice_eq_nocase(header->name, RM_SLICE("date")) ||
        rm_slice_eq_nocase(header->name, RM_SLICE("x-litellm-response-cost")))
        return false;
    if (header->name.len > remora.len && rm_slice_eq_nocase((rm_slice){header->name.ptr, remora.len}, remora))
        return false;
    if (head->decoded && rm_slice_eq_nocase(header->name, RM_SLICE("content-encoding")))
        return false;
    return !rm_http_is_hop_by_hop(header->name, connection);
}

static rm_slice connection_of(const rm_upstream_head *head)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (rm_slice_eq_nocase(head->headers[i].name, RM_SLICE("connection")))
            return head->headers[i].value;
    return RM_SLICE_NONE;
}

static rm_slice put_text(char **at, rm_slice text)
{
    rm_slice copy = {*at, text.len};
    *at = rm_slice_put(*at, text);
    return copy;
}

#define TEXT_ROOM 64 /* nearly every model's name */

/* The unshared head with `room` bytes at its end. */
static rm_blob *head_with_room(rm_blob *old, size_t room)
{
    rm_blob *blob = rm_blob_create(old->len + room);
    if (!blob)
        return NULL;
    memcpy(blob->data, old->data, old->len);
    rm_answer_head *answer = rm_answer_head_of(blob);
    answer->headers = (rm_header *)(void *)(blob->data + sizeof *answer);
    for (size_t i = 0; i < answer->header_count; i++) {
        answer->headers[i].name.ptr = blob->data + (answer->headers[i].name.ptr - old->data);
        answer->headers[i].value.ptr = blob->data + (answer->headers[i].value.ptr - old->data);
    }
    answer->text = (rm_slice){blob->data + old->len, 0};
    rm_blob_unref(old);
    return blob;
}

void rm_fetch__set_head_text(rm_blob **head, rm_slice text)
{
    rm_answer_head *answer = rm_answer_head_of(*head);
    size_t at = (size_t)(answer->text.ptr - (*head)->data), room = (*head)->len - at;
    if (text.len > room) {
        rm_blob *larger = head_with_room(*head, text.len);
        if (larger) {
            *head = larger;
            answer = rm_answer_head_of(larger);
            at = larger->len - text.len;
        } else {
            text.len = room;
        }
    }
    rm_slice_put((*head)->data + at, text);
    answer->text.len = text.len;
}

rm_blob *rm_fetch__make_head(const rm_upstream_head *head)
{
    rm_slice connection = connection_of(head);
    size_t count = 0, text_bytes = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        if (is_passed_on(head, &head->headers[i], connection)) {
            count++;
            text_bytes += head->headers[i].name.len + head->headers[i].value.len;
        }
    }
    if (count > RM_HEADER_COUNT_MAX)
        count = RM_HEADER_COUNT_MAX;
    rm_blob *blob = rm_blob_create(sizeof(rm_answer_head) + count * sizeof(rm_header) + text_bytes + TEXT_ROOM);
    if (!blob)
        return NULL;
    rm_answer_head *answer = rm_answer_head_of(blob);
    memset(answer, 0, sizeof *answer);
    rm_header *headers = (rm_header *)(void *)(blob->data + sizeof *answer);
    char *at = (char *)(headers + count);
    answer->status = head->status;
    answer->content_length = head->content_length;
    answer->headers = headers;
    answer->cost_usd = -1;
    answer->usage = RM_USAGE_UNKNOWN;
    for (size_t i = 0; i < head->header_count && answer->header_count < count; i++) {
        if (!is_passed_on(head, &head->headers[i], connection))
            continue;
        rm_header *to = &headers[answer->header_count++];
        to->name = put_text(&at, head->headers[i].name);
        to->value = put_text(&at, head->headers[i].value);
    }
    answer->text = (rm_slice){at, 0};
    return blob;
}
