package host

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// searchTime is how long the owners of sockets are looked for: what may be open
// on a large machine has no bound, and an answer does not depend on it.
const searchTime = 250 * time.Millisecond

// nameOwners finds the programs that hold sockets, as far as /proc shows them and
// the time suffices. Of several it names that with the lowest ID, which is the
// one that the others were started by. Those of this network namespace come
// first: a socket can be held by others, but seldom is.
func nameOwners(ctx context.Context, sockets []opened) {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	wanted := map[string][]int{} // where in sockets, by what /proc shows of a descriptor
	for i, s := range sockets {
		if s.inode != 0 {
			link := fmt.Sprintf("socket:[%d]", s.inode)
			wanted[link] = append(wanted[link], i)
		}
	}
	inside, outside := processes()
	for _, p := range append(inside, outside...) {
		if len(wanted) == 0 || ctx.Err() != nil {
			return
		}
		for _, link := range descriptors(ctx, p) {
			for _, i := range wanted[link] {
				sockets[i].PID, sockets[i].Process = p, programName(p)
			}
			delete(wanted, link)
		}
	}
}

// processes lists the IDs of processes, parted by whether they are in the network
// namespace of the calling thread, from the lowest up.
func processes() (inside, outside []int) {
	here, _ := os.Readlink("/proc/thread-self/ns/net")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil // no owner is named
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, cmp.Compare)
	for _, n := range all {
		if there, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(n), "ns/net")); err == nil && there == here {
			inside = append(inside, n)
		} else {
			outside = append(outside, n)
		}
	}
	return inside, outside
}

// descriptors lists what the descriptors of a process lead to, as far as the time
// suffices; nothing where that is not shown.
func descriptors(ctx context.Context, pid int) []string {
	dir, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // a process that ends has none
	var links []string
	for _, n := range names {
		if ctx.Err() != nil {
			break
		}
		if link, err := os.Readlink(filepath.Join(dir.Name(), n)); err == nil {
			links = append(links, link)
		}
	}
	return links
}

// programName is the name of a process in the kernel's words (at most 15 bytes).
func programName(pid int) string {
	name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm")) // one that has ended has none
	return strings.TrimSpace(string(name))
}
