package dropped

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// functions names the kernel functions that addresses lie in, from a listing as
// /proc/kallsyms has it: "ffffffff81c9f0b0 T ip_rcv" and, behind a tab, a
// module. Addresses without a name are missing: where the kernel hides them, the
// listing has zeros only. The listing is in no order.
func functions(listing io.Reader, addresses []uint64) (map[uint64]string, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(addresses)))
	nearest := make([]symbol, len(sorted))
	lines := bufio.NewScanner(listing)
	for lines.Scan() {
		address, ok := functionAddress(lines.Bytes())
		if !ok {
			continue
		}
		first, _ := slices.BinarySearch(sorted, address)
		for i := first; i < len(sorted) && address > nearest[i].address; i++ {
			nearest[i] = symbol{address: address, name: functionName(lines.Text())}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading kernel symbols: %w", err)
	}
	names := map[uint64]string{}
	for i, a := range sorted {
		if nearest[i].address != 0 {
			names[a] = nearest[i].name
		}
	}
	return names, nil
}

type symbol struct {
	address uint64
	name    string
}

// functionAddress reads the beginning of a line, where it is about a function.
// There are over 100,000 lines, so it makes no strings.
func functionAddress(line []byte) (uint64, bool) {
	digits := bytes.IndexByte(line, ' ')
	if digits < 1 || digits > 16 || len(line) < digits+4 || line[digits+2] != ' ' || bytes.IndexByte([]byte("tTwW"), line[digits+1]) < 0 {
		return 0, false
	}
	var address uint64
	for _, c := range line[:digits] {
		n := bytes.IndexByte([]byte("0123456789abcdef"), c)
		if n < 0 {
			return 0, false
		}
		address = address<<4 | uint64(n)
	}
	return address, address != 0
}

// functionName is the third word of a line, without what the compiler adds to
// the names of a function's parts: ip_rcv_finish.isra.0, x.cold.
func functionName(line string) string {
	words := strings.Fields(line)
	if len(words) < 3 {
		return ""
	}
	name, _, _ := strings.Cut(words[2], ".")
	return name
}
