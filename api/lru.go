package api

import linked "container/list"

// lru is a map that forgets what was not used for the longest time when it would grow beyond its limit.
type lru[K comparable, V any] struct {
	limit int
	order linked.List
	items map[K]*linked.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, items: make(map[K]*linked.Element)}
}

// get returns what is there, or nil.
func (l *lru[K, V]) get(key K) *V {
	e, ok := l.items[key]
	if !ok {
		return nil
	}
	l.order.MoveToFront(e)
	return &e.Value.(*lruItem[K, V]).value
}

// touch returns what is there, or what it has put there: a zero value.
func (l *lru[K, V]) touch(key K) *V {
	if v := l.get(key); v != nil {
		return v
	}
	if l.order.Len() >= l.limit {
		oldest := l.order.Back()
		delete(l.items, oldest.Value.(*lruItem[K, V]).key)
		l.order.Remove(oldest)
	}
	item := &lruItem[K, V]{key: key}
	l.items[key] = l.order.PushFront(item)
	return &item.value
}
