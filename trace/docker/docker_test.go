package docker

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// daemon is a stand-in for dockerd on a unix socket.
type daemon struct {
	socket string
	server *httptest.Server
	events chan string
	// asked is closed when the first question has come.
	asked chan struct{}
	once  sync.Once

	mu   sync.Mutex
	list string
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{socket: filepath.Join(t.TempDir(), "docker.sock"), events: make(chan string), asked: make(chan struct{}), list: "[]"}
	listener, err := net.Listen("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		fmt.Fprint(w, d.list)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		d.once.Do(func() { close(d.asked) })
		w.(http.Flusher).Flush()
		for {
			select {
			case e := <-d.events:
				fmt.Fprint(w, e)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	d.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	d.server.Start()
	t.Cleanup(d.server.Close)
	return d
}

// change replaces the list, and tells of it.
func (d *daemon) change(list string) {
	d.mu.Lock()
	d.list = list
	d.mu.Unlock()
	d.events <- `{"Type":"container","Action":"start"}`
}

func running(name, v4, v6 string) string {
	return fmt.Sprintf(`{"Id":"0123","Names":["/other/alias","/%s"],"NetworkSettings":{"Networks":{"bridge":{"IPAddress":%q,"GlobalIPv6Address":%q}}}}`, name, v4, v6)
}

// await asks until the name is the wanted one: it comes on its own time.
func await(t *testing.T, n *Names, addr, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); n.Of(netip.MustParseAddr(addr)) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is %q, want %q", addr, n.Of(netip.MustParseAddr(addr)), want)
		}
	}
}

func TestNamesFollowTheDaemon(t *testing.T) {
	d := startDaemon(t)
	d.list = "[" + running("web", "172.17.0.2", "2001:db8::2") + "]"
	n := Watch(d.socket)
	defer n.Close()
	await(t, n, "172.17.0.2", "web")
	await(t, n, "2001:db8::2", "web")
	await(t, n, "::ffff:172.17.0.2", "web")
	await(t, n, "172.17.0.3", "")

	d.change("[" + running("web", "172.17.0.2", "") + "," + running("db", "172.17.0.3", "") + "]")
	await(t, n, "172.17.0.3", "db")
	// One that has gone is known for a while, unless somebody else has its address.
	d.change("[" + running("cache", "172.17.0.2", "") + "]")
	await(t, n, "172.17.0.2", "cache")
	await(t, n, "172.17.0.3", "db")
	// Two with one address, on networks of their own.
	d.change("[" + running("one", "172.17.0.9", "") + "," + running("two", "172.17.0.9", "") + "," + running("new", "172.17.0.4", "") + "]")
	await(t, n, "172.17.0.4", "new")
	await(t, n, "172.17.0.9", "")
}

func TestNamesAreForgotten(t *testing.T) {
	n := &Names{byAddr: map[netip.Addr]entry{}}
	addr := netip.MustParseAddr("172.17.0.2")
	n.learn(map[netip.Addr]string{addr: "web"}, time.Now())
	n.learn(nil, time.Now().Add(-remember-time.Second))
	if got := n.Of(addr); got != "" {
		t.Errorf("a container that is long gone is still called %q", got)
	}
	n.learn(nil, time.Now())
	if len(n.byAddr) != 0 {
		t.Errorf("%d names are kept", len(n.byAddr))
	}
}

// What is on the socket need not be Docker, and need not mean well.
func TestStrangeAnswers(t *testing.T) {
	for name, list := range map[string]string{
		"no JSON":             "<html>",
		"another type":        `{"Names":1}`,
		"no address":          "[" + running("web", "none", "") + "]",
		"a name for terminal": `[{"Names":["/\u001b[2Jweb"],"NetworkSettings":{"Networks":{"a":{"IPAddress":"172.17.0.2"}}}}]`,
		"no name":             `[{"Names":[],"NetworkSettings":{"Networks":{"a":{"IPAddress":"172.17.0.2"}}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t)
			d.list = list
			n := Watch(d.socket)
			defer n.Close()
			<-d.asked
			d.change("[" + running("good", "172.17.0.7", "") + "]") // so that the other list was read
			await(t, n, "172.17.0.7", "good")
			if got := n.Of(netip.MustParseAddr("172.17.0.2")); got != "" {
				t.Errorf("the name is %q", got)
			}
		})
	}
}

// Nobody waits for a daemon that does not answer, or is not there.
func TestSilence(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "silent.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, path := range []string{socket, filepath.Join(t.TempDir(), "missing.sock")} {
		n := Watch(path)
		if got := n.Of(netip.MustParseAddr("172.17.0.2")); got != "" {
			t.Errorf("%s: the name is %q", path, got)
		}
		n.Close()
	}
}

func TestSocket(t *testing.T) {
	for host, want := range map[string]string{
		"": "/var/run/docker.sock", "unix:///run/user/1000/docker.sock": "/run/user/1000/docker.sock",
		"tcp://192.0.2.7:2376": "", "ssh://me@there": "",
	} {
		if got := Socket(func(string) string { return host }); got != want {
			t.Errorf("DOCKER_HOST=%s: %q, want %q", host, got, want)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("[" + running("web", "172.17.0.2", "2001:db8::2") + "]")
	f.Add(`[{"Names":["/\u001b[2J"],"NetworkSettings":{"Networks":null}}]`)
	f.Fuzz(func(t *testing.T, list string) {
		names, err := readList(strings.NewReader(list))
		if err != nil {
			return
		}
		for addr, name := range names {
			if !addr.IsValid() || !proper.MatchString(name) {
				t.Errorf("%q has the name %q", addr, name)
			}
		}
	})
}
