// Name resolution and a wall clock that a test controls. Loaded before libc (LD_PRELOAD), it reads the files `names`
// ("NAME ADDRESS" a line, for names that end in .test) and `clock` (seconds ahead) in the directory $PRELOAD_DIRECTORY at
// every call.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static FILE *open_file(const char *name) {
    const char *directory = getenv("PRELOAD_DIRECTORY");
    char path[4096];
    if (!directory) return NULL;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return fopen(path, "r");
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    char name[256], address[256];
    if (!real) real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!node || !strstr(node, ".test")) return real(node, service, hints, found);
    FILE *file = open_file("names");
    while (file && fscanf(file, "%255s %255s", name, address) == 2) {
        if (strcmp(name, node) == 0) {
            fclose(file);
            return real(address, service, hints, found);
        }
    }
    if (file) fclose(file);
    return EAI_NONAME;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    long ahead;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock != CLOCK_REALTIME) return result;
    FILE *file = open_file("clock");
    if (file) {
        if (fscanf(file, "%ld", &ahead) == 1) time->tv_sec += ahead;
        fclose(file);
    }
    return result;
}
