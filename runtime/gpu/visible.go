package gpu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A physical is a GPU as the driver numbers it, by the bus.
type physical struct {
	uuid      string
	mig       bool // divided into instances: it cannot be used whole
	instances []instance
	at        int // its place in a list where its instances follow it
}

// An instance is a MIG instance, of which there are two kinds of name:
// MIG-uuid, and before driver 470 MIG-GPU-uuid/gi/ci.
type instance struct {
	uuid   string
	gi, ci int // -1: not known
}

// choose returns the places of the devices that CUDA will see, in its order,
// and where that is none, why. What CUDA does with CUDA_VISIBLE_DEVICES: the
// list ends at the first name that is none, -1 among them; a name that comes
// twice leaves nothing at all; a UUID may be cut short. A GPU that is divided
// is used by the names of its instances, and its number means the first; where
// nothing is said, the whole GPUs count, and without any the first instance
// alone. A process can use one instance: the list ends behind the first.
func choose(all []physical, value string, set bool) (places []int, why string) {
	if !set {
		return everything(all)
	}
	if strings.TrimSpace(value) == "" {
		return nil, "CUDA_VISIBLE_DEVICES is empty, which hides every GPU: unset it or name one"
	}
	for _, name := range strings.Split(value, ",") {
		name = strings.TrimSpace(name)
		place, ok := find(all, name)
		if !ok {
			why = fmt.Sprintf("CUDA_VISIBLE_DEVICES=%s: %q is none of them; there are %s", value, name, names(all))
			break
		}
		if slices.Contains(places, place) {
			return nil, fmt.Sprintf("CUDA_VISIBLE_DEVICES=%s names %q twice, with which CUDA shows none", value, name)
		}
		places = append(places, place)
	}
	for i, place := range places {
		if !slices.ContainsFunc(all, func(p physical) bool { return p.at == place }) { // an instance's
			places = places[:i+1]
			break
		}
	}
	if len(places) > 0 {
		why = ""
	}
	return places, why
}

func everything(all []physical) (places []int, why string) {
	for _, p := range all {
		if !p.mig {
			places = append(places, p.at)
		}
	}
	if len(places) > 0 {
		return places, ""
	}
	for _, p := range all {
		if len(p.instances) > 0 {
			return []int{p.at + 1}, ""
		}
	}
	return nil, "every GPU is in MIG mode and none has an instance: nvidia-smi mig -cgi ... -C makes one"
}

// find returns the place of what a name in CUDA_VISIBLE_DEVICES means.
func find(all []physical, name string) (place int, ok bool) {
	if n, err := strconv.Atoi(name); err == nil {
		switch {
		case n < 0 || n >= len(all):
			return 0, false
		case !all[n].mig:
			return all[n].at, true
		}
		return all[n].at + 1, len(all[n].instances) > 0
	}
	switch {
	case strings.HasPrefix(name, "MIG-GPU-"):
		parts := strings.Split(strings.TrimPrefix(name, "MIG-"), "/")
		if len(parts) != 3 {
			return 0, false
		}
		gi, errG := strconv.Atoi(parts[1])
		ci, errC := strconv.Atoi(parts[2])
		if errG != nil || errC != nil {
			return 0, false
		}
		return only(all, func(p *physical, in *instance) bool {
			return in != nil && strings.EqualFold(p.uuid, parts[0]) && in.gi == gi && in.ci == ci
		})
	case strings.HasPrefix(name, "MIG-"):
		return only(all, func(_ *physical, in *instance) bool { return in != nil && hasPrefixFold(in.uuid, name) })
	case strings.HasPrefix(name, "GPU-") && len(name) > len("GPU-"):
		return only(all, func(p *physical, in *instance) bool { return in == nil && !p.mig && hasPrefixFold(p.uuid, name) })
	}
	return 0, false
}

// only returns the place of the one device for which is holds; in is nil for
// the GPU itself.
func only(all []physical, is func(p *physical, in *instance) bool) (place int, ok bool) {
	found := 0
	for i := range all {
		p := &all[i]
		if is(p, nil) {
			place, found = p.at, found+1
		}
		for j := range p.instances {
			if is(p, &p.instances[j]) {
				place, found = p.at+1+j, found+1
			}
		}
	}
	return place, found == 1
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// names lists what could have been named.
func names(all []physical) string {
	var list []string
	for i, p := range all {
		if !p.mig {
			list = append(list, fmt.Sprintf("%d (%s)", i, p.uuid))
		}
		for _, in := range p.instances {
			list = append(list, in.uuid)
		}
	}
	return strings.Join(list, ", ")
}
