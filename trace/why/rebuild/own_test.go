package rebuild

import (
	"errors"
	"net/netip"
	"testing"

	"packetwalk/trace"
)

// TestOwn holds which address of a listing is taken for the host's own.
func TestOwn(t *testing.T) {
	const lo = "lo UNKNOWN 127.0.0.1/8 10.9.9.9/32 ::1/128\n"
	for name, test := range map[string]struct {
		addresses string
		family    trace.Family
		want      string // empty: there is no telling
	}{
		"none sent":       {"", trace.IPv4, ""},
		"beside docker0":  {lo + "ens33 UP 192.168.23.149/24 fe80::1/64\ndocker0 UP 172.17.0.1/16\nbr-12ab34cd56ef UP 172.18.0.1/16\n", trace.IPv4, "192.168.23.149"},
		"two interfaces":  {lo + "ens33 UP 192.168.23.149/24\nens34 UP 10.1.0.2/24\n", trace.IPv4, ""},
		"two addresses":   {lo + "ens33 UP 192.168.23.149/24 192.168.23.150/24\n", trace.IPv4, ""},
		"a bridge only":   {lo + "ens33 UP \nbr0 UP 192.168.23.149/24\n", trace.IPv4, "192.168.23.149"},
		"two bridges":     {lo + "br0 UP 192.168.23.149/24\ndocker0 UP 172.17.0.1/16\n", trace.IPv4, ""},
		"of one family":   {lo + "ens33 UP 192.168.23.149/24 2001:db8::9/64 fe80::1/64\n", trace.IPv6, "2001:db8::9"},
		"of the other":    {lo + "ens33 UP 192.168.23.149/24 fe80::1/64\n", trace.IPv6, ""},
		"loopback only":   {lo, trace.IPv4, ""},
		"no such listing": {"Dear support\n", trace.IPv4, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			var m Mail
			if test.addresses != "" {
				m.Addresses = File{"addr", test.addresses}
			}
			got, err := m.Own(test.family)
			var bad *FileError
			if errors.As(err, &bad) != (test.want == "error") || err != nil && bad == nil {
				t.Fatal(err)
			}
			want, _ := netip.ParseAddr(test.want)
			if got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
