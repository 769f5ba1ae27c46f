package mme

import (
	"io"
	"maps"
)

// A Grower is a model that takes more memory as it runs, such as one whose arena
// on a GPU grows to what its largest run wanted.
type Grower interface {
	// Grown is what it takes beside what Open told, by now. It may be called
	// at any time, also when the model is closed.
	Grown() Bytes
}

// weigh charges models that grow with what they take by now. Only pools whose
// bound is what others leave have such: how much is free there is asked too.
func (c *Cache[M]) weigh() {
	if c.options.Room == nil {
		return
	}
	c.mu.Lock()
	open := make(map[*residency[M]]io.Closer, len(c.resident))
	for res := range c.resident {
		if res.state == Ready && !res.closing {
			open[res] = res.model
		}
	}
	c.mu.Unlock()
	grown := map[*residency[M]]Bytes{}
	for res, model := range open {
		if g, ok := model.(Grower); ok {
			if bytes := g.Grown(); len(bytes) > 0 {
				grown[res] = bytes
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for res, more := range grown {
		if _, there := c.resident[res]; !there || res.closing {
			continue // what it gives back is what it was charged
		}
		bytes := maps.Clone(res.opened)
		for pool, n := range more {
			bytes[pool] += n
		}
		c.charge(res, bytes)
	}
}

// Spare is what models take that may be evicted.
func (c *Cache[M]) Spare() Bytes {
	c.weigh()
	c.mu.Lock()
	defer c.mu.Unlock()
	spare := Bytes{}
	for res := range c.resident {
		if res.closing || c.evictable(res) {
			for pool, n := range res.bytes {
				spare[pool] += n
			}
		}
	}
	return spare
}
