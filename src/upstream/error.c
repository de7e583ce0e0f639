/* curl's result codes as ours: the one place that maps them. */
#include "upstream_internal.h"

static const rm_upstream__error errors[] = {
    {CURLE_OK, RM_OK, false, false, ""},
    {CURLE_UNSUPPORTED_PROTOCOL, RM_EPROTO, false, true, "the answer is not HTTP/1 or HTTP/2"},
    {CURLE_URL_MALFORMAT, RM_EINVAL, false, true, "the upstream's address cannot be read"},
    {CURLE_COULDNT_RESOLVE_PROXY, RM_ECONNECT, true, true, "the proxy's name cannot be resolved"},
    {CURLE_COULDNT_RESOLVE_HOST, RM_ECONNECT, true, true, "the upstream's name cannot be resolved"},
    {CURLE_COULDNT_CONNECT, RM_ECONNECT, true, true, "cannot connect"},
    {CURLE_OPERATION_TIMEDOUT, RM_ETIMEOUT, true, false, "no connection within the connect deadline"},
    {CURLE_WEIRD_SERVER_REPLY, RM_EPROTO, false, true, "the answer is not HTTP"},
    {CURLE_HTTP2, RM_EPROTO, true, true, "HTTP/2 framing error"},
    {CURLE_HTTP2_STREAM, RM_ERESET, true, false, "the upstream reset the stream"},
    {CURLE_PARTIAL_FILE, RM_ERESET, false, false, "the upstream closed the connection inside its answer"},
    {CURLE_WRITE_ERROR, RM_EINTERNAL, false, false, "the answer could not be taken"},
    {CURLE_UPLOAD_FAILED, RM_EPROTO, false, true, "the upstream cannot take a body of unknown length"},
    {CURLE_READ_ERROR, RM_EINTERNAL, false, false, "the request's body could not be read"},
    {CURLE_OUT_OF_MEMORY, RM_ENOMEM, false, false, "out of memory"},
    {CURLE_ABORTED_BY_CALLBACK, RM_EINTERNAL, false, false, "the transfer was stopped"},
    {CURLE_GOT_NOTHING, RM_ERESET, true, false, "the upstream closed the connection before its answer"},
    {CURLE_SEND_ERROR, RM_ERESET, true, true, "the connection broke while the request was sent"},
    {CURLE_RECV_ERROR, RM_ERESET, true, true, "the upstream reset the connection"},
    {CURLE_SEND_FAIL_REWIND, RM_ERESET, false, false, "the connection broke while a streamed body was sent"},
    {CURLE_SSL_CONNECT_ERROR, RM_ETLS, true, true, "TLS handshake failed"},
    {CURLE_SSL_CERTPROBLEM, RM_ETLS, false, true, "TLS certificate problem"},
    {CURLE_SSL_CIPHER, RM_ETLS, false, true, "no TLS cipher in common"},
    {CURLE_PEER_FAILED_VERIFICATION, RM_ETLS, false, true, "the upstream's certificate is not trusted"},
    {CURLE_SSL_CACERT_BADFILE, RM_ETLS, false, true, "the CA file cannot be read"},
    {CURLE_SSL_ENGINE_NOTFOUND, RM_ETLS, false, true, "TLS engine not found"},
    {CURLE_SSL_ISSUER_ERROR, RM_ETLS, false, true, "the certificate's issuer is not the one expected"},
    {CURLE_BAD_CONTENT_ENCODING, RM_EPROTO, false, true, "the answer's Content-Encoding cannot be undone"},
    {CURLE_PROXY, RM_ECONNECT, true, true, "the proxy refused"},
};

const rm_upstream__error *rm_upstream__error_of(CURLcode code)
{
    static const rm_upstream__error other = {CURL_LAST, RM_EPROTO, false, true, "transfer failed"};
    for (size_t i = 0; i < RM_COUNT(errors); i++) {
        if (errors[i].code == code)
            return &errors[i];
    }
    return &other;
}
