// A stand-in for NVIDIA's libnvidia-ml.so.1, for machines without a GPU. The file that FAKE_NVML names lists the
// devices, in the driver's order; it is read anew at every call, so a test can change it under a running server:
//
//   gpu UUID TOTAL USED UTILIZATION STATE      STATE: ok, mig (divided), or lost
//   mig UUID TOTAL USED GI CI                  an instance of the gpu above it
//
// Amounts are in MiB. Without the file the driver does not start.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ok = 0, invalid = 2, not_supported = 3, not_found = 6, no_driver = 9, lost = 15, most = 64 };

typedef struct {
  char kind[8], uuid[96], state[16];
  unsigned long long total, used;
  unsigned a, b; // utilization, or gi and ci
  int parent;
} device;

static int read_devices(device *d) {
  const char *path = getenv("FAKE_NVML");
  FILE *f = path == NULL ? NULL : fopen(path, "r");
  if (f == NULL) return -1;
  char line[256];
  int n = 0, gpu = -1;
  while (n < most && fgets(line, sizeof line, f) != NULL) {
    device *x = &d[n];
    memset(x, 0, sizeof *x);
    if (sscanf(line, "gpu %95s %llu %llu %u %15s", x->uuid, &x->total, &x->used, &x->a, x->state) == 5) {
      strcpy(x->kind, "gpu");
      x->parent = gpu = n++;
    } else if (sscanf(line, "mig %95s %llu %llu %u %u", x->uuid, &x->total, &x->used, &x->a, &x->b) == 5) {
      strcpy(x->kind, "mig");
      x->parent = gpu;
      n++;
    }
  }
  fclose(f);
  return n;
}

static int find(void *handle, device *out) {
  device all[most];
  int n = read_devices(all), i = (int)(long)handle - 1;
  if (i < 0 || i >= n) return invalid;
  *out = all[i];
  return strcmp(all[all[i].parent].state, "lost") == 0 ? lost : ok;
}

static int nth(const char *kind, int parent, unsigned i, void **handle) {
  device all[most];
  int n = read_devices(all);
  for (int j = 0; j < n; j++)
    if (strcmp(all[j].kind, kind) == 0 && (parent < 0 || all[j].parent == parent) && i-- == 0) {
      *handle = (void *)(long)(j + 1);
      return ok;
    }
  return not_found;
}

int nvmlInit_v2(void) {
  device all[most];
  return read_devices(all) < 0 ? no_driver : ok;
}
int nvmlShutdown(void) { return ok; }
const char *nvmlErrorString(int r) {
  switch (r) {
  case no_driver: return "Driver Not Loaded";
  case lost: return "GPU is lost";
  case not_found: return "Not Found";
  }
  return "Another Error";
}
int nvmlSystemGetDriverVersion(char *version, unsigned n) {
  snprintf(version, n, "580.65.06");
  return ok;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
  device all[most];
  int n = read_devices(all);
  for (*count = 0; n > 0; n--) *count += strcmp(all[n - 1].kind, "gpu") == 0;
  return ok;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **handle) { return nth("gpu", -1, i, handle); }
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned n) {
  device d;
  int r = find(handle, &d);
  if (r == ok) snprintf(uuid, n, "%s", d.uuid);
  return r;
}
int nvmlDeviceGetName(void *handle, char *name, unsigned n) {
  device d;
  int r = find(handle, &d);
  if (r == ok) snprintf(name, n, strcmp(d.kind, "mig") == 0 ? "Stand-in MIG 1g.10gb" : "Stand-in GPU");
  return r;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *memory) {
  device d;
  int r = find(handle, &d);
  memory[0] = d.total << 20;
  memory[1] = (d.total - d.used) << 20;
  memory[2] = d.used << 20;
  return r;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *rates) {
  device d;
  int r = find(handle, &d);
  if (r == ok && strcmp(d.kind, "mig") == 0) return not_supported;
  rates[0] = rates[1] = d.a;
  return r;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
  device d;
  int r = find(handle, &d);
  *current = *pending = strcmp(d.state, "mig") == 0;
  return r;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
  *count = 7;
  return ok;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned i, void **mig) {
  return nth("mig", (int)(long)handle - 1, i, mig);
}
int nvmlDeviceGetGpuInstanceId(void *handle, unsigned *id) {
  device d;
  int r = find(handle, &d);
  *id = d.a;
  return r;
}
int nvmlDeviceGetComputeInstanceId(void *handle, unsigned *id) {
  device d;
  int r = find(handle, &d);
  *id = d.b;
  return r;
}
