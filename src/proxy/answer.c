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
    rm_blob *blob = rm_blob_create(sizeof(rm_answer_head) + count * sizeof(rm_header) + text_bytes);
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
    return blob;
}
