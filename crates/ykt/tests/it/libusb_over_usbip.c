/* The part of libusb that the driver libccid uses, over USB/IP instead of this machine's bus: the real driver
 * talks to the token without the kernel's module. Preloaded into pcscd by the test; YKT_USBIP names HOST:PORT.
 *
 * One device, one connection. Any thread that waits for a transfer reads the line for all, in short turns. */

#include <arpa/inet.h>
#include <libusb-1.0/libusb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 48, PENDING_MAX = 16, TURN_MS = 10, UNLINKED = -104, STALLED = -32 };

struct libusb_device { int unused; };
struct libusb_device_handle { int unused; };

static struct libusb_device the_device;
static struct libusb_device_handle the_handle;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int line = -1;
static uint32_t sequence, device_id;

/* A transfer without its reply. */
struct pending {
    uint32_t sequence, unlink;
    struct libusb_transfer *transfer; /* of an asynchronous one */
    unsigned char *in;                /* room for data from the device */
    int room, done, status, actual;
    long deadline_ms;
};
static struct pending *waiting[PENDING_MAX];

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static int whole(int write_it, void *buffer, size_t len) {
    unsigned char *at = buffer;
    while (len > 0) {
        ssize_t count = write_it ? write(line, at, len) : read(line, at, len);
        if (count <= 0) return -1;
        at += count;
        len -= (size_t)count;
    }
    return 0;
}

static int connect_line(void) {
    char host[64] = "";
    int port = 0;
    const char *place = getenv("YKT_USBIP");
    if (!place || sscanf(place, "%63[^:]:%d", host, &port) != 2) return -1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) return -1;
    line = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(line, (struct sockaddr *)&address, sizeof address) == 0) return 0;
    close(line);
    line = -1;
    return -1;
}

/* Imports device 1-1. */
static int import(void) {
    unsigned char request[40] = {0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0, '1', '-', '1'}, reply[8 + 312];
    if (connect_line() || whole(1, request, sizeof request) || whole(0, reply, 8)) return -1;
    if (memcmp(reply + 4, "\0\0\0\0", 4) != 0 || whole(0, reply + 8, 312)) return -1;
    device_id = (uint32_t)reply[8 + 291] << 16 | reply[8 + 295];
    return 0;
}

static void put(unsigned char *at, uint32_t number) {
    number = htonl(number);
    memcpy(at, &number, 4);
}

static uint32_t take(const unsigned char *at) {
    uint32_t number;
    memcpy(&number, at, 4);
    return ntohl(number);
}

static int begin(struct pending *pending, unsigned char endpoint, unsigned char *data, int len,
                 const unsigned char *setup) {
    unsigned char header[HEADER] = {0};
    int is_in = endpoint & 0x80;
    int slot = 0;
    while (slot < PENDING_MAX && waiting[slot]) slot++;
    if (slot == PENDING_MAX) return LIBUSB_ERROR_NO_MEM;
    pending->sequence = ++sequence;
    pending->in = is_in ? data : NULL;
    pending->room = len;
    put(header, 1);
    put(header + 4, pending->sequence);
    put(header + 8, device_id);
    put(header + 12, is_in ? 1 : 0);
    put(header + 16, endpoint & 0x0F);
    put(header + 24, (uint32_t)len);
    if (setup) memcpy(header + 40, setup, 8);
    if (whole(1, header, HEADER)) return LIBUSB_ERROR_NO_DEVICE;
    if (!is_in && len && whole(1, data, (size_t)len)) return LIBUSB_ERROR_NO_DEVICE;
    waiting[slot] = pending;
    return 0;
}

static void take_back(struct pending *pending) {
    unsigned char header[HEADER] = {0};
    if (pending->unlink) return;
    pending->unlink = ++sequence;
    put(header, 2);
    put(header + 4, pending->unlink);
    put(header + 8, device_id);
    put(header + 20, pending->sequence);
    whole(1, header, HEADER);
}

/* Reads one reply, if one comes in this turn. */
static void turn(void) {
    struct pollfd ready = {.fd = line, .events = POLLIN};
    unsigned char header[HEADER];
    for (int slot = 0; slot < PENDING_MAX; slot++) {
        struct pending *pending = waiting[slot];
        if (pending && pending->deadline_ms && now_ms() > pending->deadline_ms) take_back(pending);
    }
    if (poll(&ready, 1, TURN_MS) <= 0) return;
    int is_gone = whole(0, header, HEADER);
    for (int slot = 0; slot < PENDING_MAX; slot++) {
        struct pending *pending = waiting[slot];
        if (!pending) continue;
        int is_end = !is_gone && take(header) == 3 && take(header + 4) == pending->sequence;
        int is_unlinked = !is_gone && take(header) == 4 && take(header + 4) == pending->unlink;
        if (!is_gone && !is_end && !is_unlinked) continue;
        pending->status = is_gone ? LIBUSB_ERROR_NO_DEVICE : (int)take(header + 20);
        if (is_unlinked && pending->status != UNLINKED) continue; /* its own reply came before */
        if (is_end) {
            pending->actual = (int)take(header + 24);
            if (pending->actual > pending->room) abort();
            if (pending->in && whole(0, pending->in, (size_t)pending->actual)) pending->status = LIBUSB_ERROR_IO;
        }
        pending->done = 1;
        waiting[slot] = NULL;
    }
}

static int transfer(unsigned char endpoint, unsigned char *data, int len, const unsigned char *setup,
                    unsigned timeout_ms, int *actual) {
    struct pending pending = {.deadline_ms = timeout_ms ? now_ms() + timeout_ms : 0};
    pthread_mutex_lock(&lock);
    int error = begin(&pending, endpoint, data, len, setup);
    while (!error && !pending.done) {
        turn();
        pthread_mutex_unlock(&lock);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    if (error) return error;
    *actual = pending.actual;
    switch (pending.status) {
    case 0: return 0;
    case STALLED: return LIBUSB_ERROR_PIPE;
    case UNLINKED: return LIBUSB_ERROR_TIMEOUT;
    default: return pending.status;
    }
}

int libusb_init(libusb_context **context) { *context = NULL; return 0; }
void libusb_exit(libusb_context *context) { (void)context; }
const char *libusb_error_name(int error) {
    static char text[16];
    snprintf(text, sizeof text, "%d", error);
    return text;
}

ssize_t libusb_get_device_list(libusb_context *context, libusb_device ***list) {
    (void)context;
    *list = calloc(2, sizeof **list);
    (*list)[0] = &the_device;
    return 1;
}
void libusb_free_device_list(libusb_device **list, int unref) { (void)unref; free(list); }
uint8_t libusb_get_bus_number(libusb_device *device) { (void)device; return 1; }
uint8_t libusb_get_device_address(libusb_device *device) { (void)device; return 2; }

int libusb_control_transfer(libusb_device_handle *handle, uint8_t type, uint8_t request, uint16_t value,
                            uint16_t index, unsigned char *data, uint16_t len, unsigned timeout_ms) {
    unsigned char setup[8] = {type,         request,    value & 0xFF, value >> 8,
                              index & 0xFF, index >> 8, len & 0xFF,   len >> 8};
    int actual = 0;
    (void)handle;
    int error = transfer(type & 0x80, data, len, setup, timeout_ms, &actual);
    return error ? error : actual;
}

static int descriptor(uint8_t kind, uint8_t index, uint16_t language, unsigned char *data, uint16_t len) {
    if (line < 0 && import()) return LIBUSB_ERROR_NO_DEVICE;
    uint16_t value = (uint16_t)(kind << 8 | index);
    return libusb_control_transfer(&the_handle, 0x80, 6, value, language, data, len, 5000);
}

int libusb_get_device_descriptor(libusb_device *device, struct libusb_device_descriptor *out) {
    unsigned char bytes[18];
    (void)device;
    if (descriptor(1, 0, 0, bytes, sizeof bytes) != sizeof bytes) return LIBUSB_ERROR_IO;
    /* The structure has no gaps, and x86 and ARM keep numbers as USB does. */
    memcpy(out, bytes, sizeof bytes);
    return 0;
}

int libusb_get_string_descriptor_ascii(libusb_device_handle *handle, uint8_t index, unsigned char *data, int len) {
    unsigned char bytes[255];
    int count = descriptor(3, index, 0x0409, bytes, sizeof bytes), at = 0;
    (void)handle;
    for (int unit = 2; unit + 1 < count && at < len - 1; unit += 2) data[at++] = bytes[unit];
    data[at] = 0;
    return count < 0 ? count : at;
}

/* Everything a configuration points at, in one piece of memory. */
struct configuration {
    struct libusb_config_descriptor head;
    struct libusb_interface interface;
    struct libusb_interface_descriptor setting;
    struct libusb_endpoint_descriptor endpoints[3];
    unsigned char bytes[1024];
};

int libusb_get_active_config_descriptor(libusb_device *device, struct libusb_config_descriptor **out) {
    struct configuration *all = calloc(1, sizeof *all);
    (void)device;
    int len = descriptor(2, 0, 0, all->bytes, sizeof all->bytes), endpoints = 0;
    for (int at = 0; at + 1 < len && all->bytes[at] >= 2; at += all->bytes[at]) {
        unsigned char *bytes = all->bytes + at;
        if (bytes[1] == 4) memcpy(&all->setting, bytes, 9);
        if (bytes[1] == 0x21) {
            all->setting.extra = bytes;
            all->setting.extra_length = bytes[0];
        }
        if (bytes[1] == 5 && endpoints < 3) memcpy(&all->endpoints[endpoints++], bytes, 7);
    }
    all->setting.endpoint = all->endpoints;
    all->interface = (struct libusb_interface){.altsetting = &all->setting, .num_altsetting = 1};
    all->head.bNumInterfaces = 1;
    all->head.bConfigurationValue = 1;
    all->head.interface = &all->interface;
    *out = &all->head;
    return len > 0 ? 0 : LIBUSB_ERROR_IO;
}
void libusb_free_config_descriptor(struct libusb_config_descriptor *config) { free(config); }

/* The kernel configures a device when it finds it. */
int libusb_open(libusb_device *device, libusb_device_handle **handle) {
    (void)device;
    *handle = &the_handle;
    int error = line < 0 && import() ? LIBUSB_ERROR_NO_DEVICE : 0;
    return error ? error : libusb_control_transfer(&the_handle, 0x00, 9, 1, 0, NULL, 0, 5000);
}
int libusb_set_configuration(libusb_device_handle *handle, int value) { (void)handle; (void)value; return 0; }
int libusb_claim_interface(libusb_device_handle *handle, int number) { (void)handle; (void)number; return 0; }
int libusb_release_interface(libusb_device_handle *handle, int number) { (void)handle; (void)number; return 0; }
void libusb_close(libusb_device_handle *handle) { (void)handle; close(line); line = -1; }

int libusb_bulk_transfer(libusb_device_handle *handle, unsigned char endpoint, unsigned char *data, int len,
                         int *actual, unsigned timeout_ms) {
    (void)handle;
    return transfer(endpoint, data, len, NULL, timeout_ms, actual);
}

struct libusb_transfer *libusb_alloc_transfer(int packets) {
    (void)packets;
    return calloc(1, sizeof(struct libusb_transfer));
}
void libusb_free_transfer(struct libusb_transfer *transfer) { free(transfer); }

static struct pending *submitted[PENDING_MAX];

int libusb_submit_transfer(struct libusb_transfer *transfer) {
    struct pending *pending = calloc(1, sizeof *pending);
    int slot = 0;
    pthread_mutex_lock(&lock);
    pending->transfer = transfer;
    pending->deadline_ms = transfer->timeout ? now_ms() + transfer->timeout : 0;
    while (slot < PENDING_MAX && submitted[slot]) slot++;
    int error = LIBUSB_ERROR_NO_MEM;
    if (slot < PENDING_MAX) error = begin(pending, transfer->endpoint, transfer->buffer, transfer->length, NULL);
    if (error)
        free(pending);
    else
        submitted[slot] = pending;
    pthread_mutex_unlock(&lock);
    return error;
}

int libusb_cancel_transfer(struct libusb_transfer *transfer) {
    pthread_mutex_lock(&lock);
    for (int slot = 0; slot < PENDING_MAX; slot++)
        if (submitted[slot] && submitted[slot]->transfer == transfer) take_back(submitted[slot]);
    pthread_mutex_unlock(&lock);
    return 0;
}

int libusb_handle_events_completed(libusb_context *context, int *completed) {
    (void)context;
    pthread_mutex_lock(&lock);
    turn();
    for (int slot = 0; slot < PENDING_MAX; slot++) {
        struct pending *pending = submitted[slot];
        if (!pending || !pending->done) continue;
        struct libusb_transfer *transfer = pending->transfer;
        int is_late = pending->deadline_ms && now_ms() > pending->deadline_ms;
        transfer->actual_length = pending->actual;
        transfer->status = pending->status == 0          ? LIBUSB_TRANSFER_COMPLETED
                           : pending->status != UNLINKED ? LIBUSB_TRANSFER_NO_DEVICE
                           : is_late                     ? LIBUSB_TRANSFER_TIMED_OUT
                                                         : LIBUSB_TRANSFER_CANCELLED;
        submitted[slot] = NULL;
        free(pending);
        pthread_mutex_unlock(&lock);
        transfer->callback(transfer);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    (void)completed;
    return 0;
}
