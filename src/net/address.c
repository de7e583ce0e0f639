/* Addresses: text to sockaddr and back, and the key under which connections of one peer are counted. */
#include "net_internal.h"

#include <arpa/inet.h>
#include <stdio.h>

static rm_status parse_unix(rm_slice path, rm_address *ret_address)
{
    rm_address address = {0};

    if (path.len == 0 || path.len >= sizeof(address.sock.un.sun_path))
        return RM_EINVAL;
    address.sock.un.sun_family = AF_UNIX;
    memcpy(address.sock.un.sun_path, path.ptr, path.len);
    address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *ret_address = address;
    return RM_OK;
}

static rm_status parse_ip(const char *host, uint16_t port, rm_address *ret_address)
{
    rm_address address = {0};

    if (inet_pton(AF_INET, host, &address.sock.v4.sin_addr) == 1) {
        address.sock.v4.sin_family = AF_INET;
        address.sock.v4.sin_port = htons(port);
        address.len = sizeof(address.sock.v4);
    } else if (inet_pton(AF_INET6, host, &address.sock.v6.sin6_addr) == 1) {
        address.sock.v6.sin6_family = AF_INET6;
        address.sock.v6.sin6_port = htons(port);
        address.len = sizeof(address.sock.v6);
    } else {
        return RM_EINVAL;
    }
    *ret_address = address;
    return RM_OK;
}

rm_status rm_net__address_parse(const char *text, rm_address *ret_address)
{
    rm_slice all = rm_slice_cstr(text), host;
    const char *colon = strrchr(text, ':');
    char name[INET6_ADDRSTRLEN];
    uint64_t port;

    if (rm_slice_has_prefix(all, RM_SLICE("unix:")))
        return parse_unix(rm_slice_make(text + 5, all.len - 5), ret_address);
    if (!colon || rm_parse_u64(rm_slice_cstr(colon + 1), &port) != RM_OK || port > UINT16_MAX)
        return RM_EINVAL;
    host = rm_slice_make(text, (size_t)(colon - text));
    if (host.len == 0) /* every address; the socket is opened for IPv4 too */
        return parse_ip("::", (uint16_t)port, ret_address);
    if (rm_slice_eq(host, RM_SLICE("localhost")))
        host = RM_SLICE("127.0.0.1");
    if (host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = rm_slice_make(host.ptr + 1, host.len - 2);
    else if (memchr(host.ptr, ':', host.len))
        return RM_EINVAL; /* which colon is the port's is anyone's guess */
    if (host.len == 0 || host.len >= sizeof(name))
        return RM_EINVAL;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    return parse_ip(name, (uint16_t)port, ret_address);
}

/* The IPv4 address inside an IPv6 one, NULL: it is none. */
static const unsigned char *mapped_v4(const rm_address *address)
{
    const struct in6_addr *in6 = &address->sock.v6.sin6_addr;

    return IN6_IS_ADDR_V4MAPPED(in6) ? &in6->s6_addr[12] : NULL;
}

void rm_net__address_format(const rm_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->sock.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->sock.v4.sin_addr, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(address->sock.v4.sin_port));
    } else if (address->sock.any.sa_family == AF_INET6) {
        const unsigned char *v4 = mapped_v4(address);

        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (const void *)v4 : &address->sock.v6.sin6_addr, host, sizeof(host));
        snprintf(text, size, v4 ? "%s:%u" : "[%s]:%u", host, (unsigned)ntohs(address->sock.v6.sin6_port));
    } else {
        snprintf(text, size, "unix");
    }
}

bool rm_net__address_key(const rm_address *address, rm_key128 *ret_key)
{
    unsigned char bytes[16] = {0};

    if (address->sock.any.sa_family == AF_INET) {
        memcpy(bytes, &address->sock.v4.sin_addr, 4);
        if (bytes[0] == 127)
            return false;
    } else if (address->sock.any.sa_family == AF_INET6) {
        const unsigned char *v4 = mapped_v4(address);

        if (v4 ? v4[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address->sock.v6.sin6_addr))
            return false;
        memcpy(bytes, v4 ? v4 : address->sock.v6.sin6_addr.s6_addr, v4 ? 4 : 16);
    } else {
        return false;
    }
    *ret_key = rm_hash128(rm_slice_make((const char *)bytes, sizeof(bytes)));
    return true;
}
