// Package docker asks a Docker daemon about its containers, over the daemon's
// unix socket: what those behind addresses are called (Names), and where they
// are and which ports they publish (Containers). It only asks, and what is done
// with the answers is left to others.
//
// It speaks the Docker Engine API (https://docs.docker.com/reference/api/engine/)
// without a version in its paths, which every daemon answers in its own.
package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// defaultSocket is where dockerd listens if nothing else is said.
const defaultSocket = "/var/run/docker.sock"

// Socket is the path of the unix socket that DOCKER_HOST names, or of the usual
// one. It is empty where DOCKER_HOST names a daemon on another machine.
func Socket(getenv func(string) string) string {
	host := getenv("DOCKER_HOST")
	if host == "" {
		return defaultSocket
	}
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return ""
	}
	return path
}

// client speaks to one daemon.
type client struct{ http *http.Client }

func newClient(socket string) client {
	dialer := &net.Dialer{Timeout: patience}
	return client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		// A daemon that has accepted the question may still be stuck.
		ResponseHeaderTimeout: patience,
	}}}
}

const (
	// patience is how long a daemon may take to answer.
	patience = 2 * time.Second
	// longest is as much as is read of a list, in bytes: that of some thousand containers.
	longest = 16 << 20
)

// get asks for a path. The body has to be closed.
func (c client) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "docker", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Docker for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("asking Docker for %s: %w", path, &statusError{resp.StatusCode, resp.Status})
	}
	return resp.Body, nil
}

// statusError is a refusal, by its HTTP status.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return "status " + e.text }

// container is what is read of a running container.
type container struct {
	Names           []string // each with a slash in front
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress, GlobalIPv6Address string }
	}
}

// name is what the user calls the container: names with another slash in them
// are those that linked containers have for it.
func (c container) name() string {
	for _, n := range c.Names {
		if n = strings.TrimPrefix(n, "/"); proper.MatchString(n) {
			return n
		}
	}
	return ""
}

// proper is what Docker allows as a name (daemon/names in moby). Whatever else
// answers on the socket, nothing else gets to a terminal.
var proper = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$`)

// list asks for the running containers' names by their addresses.
func (c client) list(ctx context.Context) (map[netip.Addr]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := c.get(ctx, "/containers/json", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return readList(io.LimitReader(body, longest))
}

// readList reads a list of containers. An address that two of them have, on
// networks of their own, tells nothing and is left out.
func readList(r io.Reader) (map[netip.Addr]string, error) {
	var all []container
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return nil, fmt.Errorf("reading Docker's list of containers: %w", err)
	}
	names, ambiguous := map[netip.Addr]string{}, map[netip.Addr]bool{}
	for _, c := range all {
		name := c.name()
		for _, n := range c.NetworkSettings.Networks {
			for _, text := range []string{n.IPAddress, n.GlobalIPv6Address} {
				addr, err := netip.ParseAddr(text)
				if err != nil || name == "" {
					continue
				}
				if other, taken := names[addr]; taken && other != name {
					ambiguous[addr] = true
				}
				names[addr] = name
			}
		}
	}
	for addr := range ambiguous {
		delete(names, addr)
	}
	return names, nil
}

// events asks to be told of what changes names and addresses, from a time on.
// Each thing that happens is one JSON value in the body.
func (c client) events(ctx context.Context, since time.Time) (io.ReadCloser, error) {
	return c.get(ctx, "/events", url.Values{
		"since":   {fmt.Sprint(since.Unix())},
		"filters": {`{"type":["container","network"],"event":["start","die","rename","connect","disconnect"]}`},
	})
}
