/* Who may ask. The server has no login, so a browser on this machine must not become a stranger's way in:
 *
 *   DNS rebinding   a page of evil.example whose name now points at 127.0.0.1 sends Host: evil.example.
 *                   Only names that public DNS cannot give away are answered.
 *   cross-site      a page of another origin posts a form here. Browsers say so in Origin and Sec-Fetch-Site.
 */
#include "admin_internal.h"

/* Without ":port" and a closing dot. */
static rm_slice host_name(rm_slice host)
{
    size_t len = host.len;

    while (len > 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9')
        len--;
    if (len > 0 && host.ptr[len - 1] == ':')
        host.len = len - 1;
    if (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool has_suffix_nocase(rm_slice text, rm_slice suffix)
{
    return text.len > suffix.len &&
           rm_slice_eq_nocase(rm_slice_make(text.ptr + text.len - suffix.len, suffix.len), suffix);
}

static bool is_made_of(rm_slice text, const char *characters)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i] || !strchr(characters, text.ptr[i]))
            return false;
    return text.len > 0;
}

bool rm_admin__host_allowed(rm_slice host)
{
    /* Top-level names set apart for private use (RFC 6761, RFC 6762, ICANN's .internal), and Kubernetes' services. */
    static const rm_slice private_names[] = {RM_SLICE(".localhost"), RM_SLICE(".local"), RM_SLICE(".internal"),
                                             RM_SLICE(".svc")};
    rm_slice name = host_name(host);

    if (name.len > 2 && name.ptr[0] == '[')
        return name.ptr[name.len - 1] == ']' &&
               is_made_of(rm_slice_make(name.ptr + 1, name.len - 2), "0123456789abcdefABCDEF:.");
    if (is_made_of(name, "0123456789."))
        return true;
    if (name.len == 0 || !memchr(name.ptr, '.', name.len)) /* one label: localhost, or a container's name */
        return name.len > 0 && !memchr(name.ptr, ':', name.len);
    for (size_t i = 0; i < RM_COUNT(private_names); i++)
        if (has_suffix_nocase(name, private_names[i]))
            return true;
    return false;
}

bool rm_admin__origin_allowed(const rm_http_head *head)
{
    rm_slice origin = rm_http_header(head, "origin"), site = rm_http_header(head, "sec-fetch-site");

    if (site.ptr && !rm_slice_eq_nocase(site, RM_SLICE("same-origin")) && !rm_slice_eq_nocase(site, RM_SLICE("none")))
        return false;
    if (!origin.ptr)
        return true;
    if (!rm_slice_has_prefix(origin, RM_SLICE("http://")))
        return false;
    return rm_slice_eq_nocase(rm_slice_make(origin.ptr + 7, origin.len - 7), head->host);
}
