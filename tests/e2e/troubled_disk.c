/* A disk in trouble, for a server that is started with this in LD_PRELOAD: while the file that
   TROUBLE names begins with `hung` no sync ends; with `slow`, each takes 50 ms longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static const int look_again_ms = 2;
static const int slower_ms = 50;

static char trouble(void) {
  char first = 0;
  const int file = open(getenv("TROUBLE"), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, &first, 1) != 1) {
      first = 0;
    }
    close(file);
  }
  return first;
}

static int synced_late(const char* name, int file) {
  int (*const sync_file)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (trouble() == 's') {
    poll(NULL, 0, slower_ms);
  }
  while (trouble() == 'h') {
    poll(NULL, 0, look_again_ms);
  }
  return sync_file(file);
}

int fdatasync(int file) { return synced_late("fdatasync", file); }
int fsync(int file) { return synced_late("fsync", file); }
