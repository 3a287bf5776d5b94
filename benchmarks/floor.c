/* The floors of every measurement: one HTTPS request by OpenSSL and nothing else, as a library for ctypes.
 *
 * Three kinds. FULL: a connection and a full TLS 1.3 handshake for each request. RESUMED: a connection for
 * each, resumed by the session of the first. KEPT: one connection for all, as long as the device keeps it.
 * The certificate is checked against the CA file and the host's name, as everybody has to. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum kind { FULL, RESUMED, KEPT };

struct floor {
    enum kind kind;
    SSL_CTX *context;
    SSL_SESSION *session;
    SSL *tls;
    int socket;
    struct sockaddr_storage address;
    socklen_t address_length;
    char host[256];
    long handshakes, resumptions;
    char error[256];
};

static long failed(struct floor *floor, const char *what)
{
    unsigned long code = ERR_get_error();

    snprintf(floor->error, sizeof floor->error, "%s%s%s", what, code ? ": " : "",
             code ? ERR_reason_error_string(code) : "");
    ERR_clear_error();
    return -1;
}

static void hang_up(struct floor *floor)
{
    if (floor->tls != NULL) /* else OpenSSL takes the session for a broken one, and never resumes it */
        SSL_set_shutdown(floor->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(floor->tls);
    if (floor->socket >= 0)
        close(floor->socket);
    floor->tls = NULL;
    floor->socket = -1;
}

/* Taken once, after an answer has brought the tickets: a session that works serves again, at no cost. (In
 * OpenSSL's own cache for clients it would not: there each one is good once.) */
static void take_session(struct floor *floor)
{
    if (floor->kind == RESUMED && floor->session == NULL)
        floor->session = SSL_get1_session(floor->tls);
}

static int find_host(struct floor *floor, const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char service[16];

    snprintf(service, sizeof service, "%d", port);
    snprintf(floor->host, sizeof floor->host, "%s", host);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return -1;
    memcpy(&floor->address, found->ai_addr, found->ai_addrlen);
    floor->address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void floor_close(struct floor *floor)
{
    hang_up(floor);
    SSL_SESSION_free(floor->session);
    SSL_CTX_free(floor->context);
    free(floor);
}

struct floor *floor_open(const char *host, int port, const char *ca_file, int kind)
{
    struct floor *floor = calloc(1, sizeof *floor);

    if (floor == NULL)
        return NULL;
    floor->kind = kind;
    floor->socket = -1;
    floor->context = SSL_CTX_new(TLS_client_method());
    if (floor->context == NULL || SSL_CTX_load_verify_locations(floor->context, ca_file, NULL) != 1 ||
        SSL_CTX_set_min_proto_version(floor->context, TLS1_3_VERSION) != 1 ||
        find_host(floor, host, port) != 0) {
        floor_close(floor);
        return NULL;
    }
    SSL_CTX_set_verify(floor->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(floor->context, SSL_SESS_CACHE_OFF);
    return floor;
}

static long connect_to(struct floor *floor)
{
    struct timeval patience = {.tv_sec = 60};
    int on = 1;

    floor->socket = socket(floor->address.ss_family, SOCK_STREAM, 0);
    if (floor->socket < 0 ||
        connect(floor->socket, (struct sockaddr *)&floor->address, floor->address_length) != 0)
        return failed(floor, "no connection");
    setsockopt(floor->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(floor->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    floor->tls = SSL_new(floor->context);
    if (floor->tls == NULL || SSL_set_fd(floor->tls, floor->socket) != 1)
        return failed(floor, "no TLS");
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(floor->tls), floor->host) != 1) {
        ERR_clear_error();
        if (SSL_set1_host(floor->tls, floor->host) != 1 ||
            SSL_set_tlsext_host_name(floor->tls, floor->host) != 1)
            return failed(floor, "no TLS");
    }
    if (floor->session != NULL)
        SSL_set_session(floor->tls, floor->session);
    if (SSL_connect(floor->tls) != 1)
        return failed(floor, "TLS handshake");
    floor->handshakes++;
    floor->resumptions += SSL_session_reused(floor->tls);
    return 0;
}

/* Reads head and body into answer, of room bytes; the place of the body, or -1. */
static long read_answer(struct floor *floor, char *answer, long room, long *length)
{
    long got = 0, body = -1, wanted = -1;

    while (body < 0 || got < body + wanted) {
        char *end, *line;
        int count;

        if (got + 1 >= room)
            return failed(floor, "the answer is too long");
        count = SSL_read(floor->tls, answer + got, (int)(room - got - 1));
        if (count <= 0)
            return failed(floor, "the answer breaks off");
        got += count;
        answer[got] = 0;
        if (body >= 0 || (end = strstr(answer, "\r\n\r\n")) == NULL)
            continue;
        body = end + 4 - answer;
        for (line = answer; line < end && wanted < 0; line = strstr(line, "\r\n") + 2)
            if (strncasecmp(line, "Content-Length:", 15) == 0)
                wanted = strtol(line + 15, NULL, 10);
        if (wanted < 0)
            return failed(floor, "the answer does not tell its length");
    }
    *length = wanted;
    return body;
}

/* Sends one request of size bytes; the place of the body in answer, or -1 where floor_error has words. */
long floor_request(struct floor *floor, const char *request, long size, char *answer, long room,
                   long *length)
{
    long body = -1;
    int kept = floor->tls != NULL;

    for (;;) {
        if (floor->tls != NULL || connect_to(floor) == 0) {
            if (SSL_write(floor->tls, request, (int)size) == size)
                body = read_answer(floor, answer, room, length);
            else
                failed(floor, "the request was not sent");
        }
        if (body >= 0)
            take_session(floor);
        if (body < 0 || floor->kind != KEPT)
            hang_up(floor);
        if (body >= 0 || !kept)
            return body;
        kept = 0; /* a kept connection may have ended meanwhile: once more on another */
    }
}

const char *floor_error(const struct floor *floor)
{
    return floor->error;
}

long floor_handshakes(const struct floor *floor)
{
    return floor->handshakes;
}

long floor_resumptions(const struct floor *floor)
{
    return floor->resumptions;
}
