package vsphere

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxFile is far more than any password, list of authorities or user data takes, in bytes.
const maxFile = 8 << 20

// readFile reads a file that a configuration names. What it was when the configuration was checked, it may not be any more: a named pipe
// would wait for its writer, and a device may never end.
func readFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("read %s: it is not a regular file", name), err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("read %s: it is larger than %d bytes", name, maxFile)
	}
	return text, err
}
