package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The database's layout, version 1: bucket "pool" holds key "record", bucket "machines" one record per machine id, and bucket
// "meta" the layout's version. Values are JSON.
var (
	metaBucket     = []byte("meta")
	poolBucket     = []byte("pool")
	machinesBucket = []byte("machines")
	versionKey     = []byte("version")
	recordKey      = []byte("record")
)

const (
	layoutVersion = "1"
	lockPatience  = time.Second
)

// ErrLocked says that another process has the journal open.
var ErrLocked = errors.New("the state directory is in use by another vspherepool process: stop that one, or use another directory")

type boltJournal struct{ db *bbolt.DB }

// OpenJournal opens the journal in the file, making it if need be (mode 0600), and locks it until Close. Fails with ErrLocked while
// another process has it.
func OpenJournal(path string) (Journal, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockPatience})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	j := boltJournal{db}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", path, err), db.Close())
	}
	return j, nil
}

func (j boltJournal) prepare() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, poolBucket, machinesBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		switch v := meta.Get(versionKey); {
		case v == nil:
			return meta.Put(versionKey, []byte(layoutVersion))
		case string(v) != layoutVersion:
			return fmt.Errorf("its layout has version %s, this program knows %s: use the newer program", v, layoutVersion)
		}
		return nil
	})
}

func (j boltJournal) Load() (State, error) {
	var s State
	err := j.db.View(func(tx *bbolt.Tx) error {
		if raw := tx.Bucket(poolBucket).Get(recordKey); raw != nil {
			if err := json.Unmarshal(raw, &s.Pool); err != nil {
				return fmt.Errorf("pool record: %w", err)
			}
		}
		return tx.Bucket(machinesBucket).ForEach(func(id, raw []byte) error {
			var r record
			if err := json.Unmarshal(raw, &r); err != nil {
				return fmt.Errorf("machine %s: %w", id, err)
			}
			s.Machines = append(s.Machines, r)
			return nil
		})
	})
	if err != nil {
		return State{}, fmt.Errorf("load journal: %w", err)
	}
	return s, nil
}

func (j boltJournal) Write(changes []Change) error {
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, c := range changes {
			if err := apply(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

func apply(tx *bbolt.Tx, c Change) error {
	switch {
	case c.pool != nil:
		return put(tx.Bucket(poolBucket), recordKey, c.pool)
	case c.machine != nil:
		return put(tx.Bucket(machinesBucket), []byte(c.machine.ID), c.machine)
	default:
		return tx.Bucket(machinesBucket).Delete([]byte(c.forget))
	}
}

func put(b *bbolt.Bucket, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return b.Put(key, raw)
}

func (j boltJournal) Close() error {
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
