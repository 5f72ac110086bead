package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"packetwalk/trace"
)

// Container is a running container.
type Container struct {
	ID, Name string
	// Aliases are what else its networks call it.
	Aliases []string
	// PID is that of its first process, in the daemon's PID namespace.
	PID int
	// Sandbox is the path of a file that its network namespace is mounted on, in
	// the daemon's mount namespace; empty where the daemon names none.
	Sandbox string
	// HostNetwork says that it is in the network namespace of the daemon.
	HostNetwork bool
	// Networks are in the order in which they get the default route and the
	// published ports, the first of those that have a gateway.
	Networks []Network
	Ports    []Port
}

// Network is a container's place on a network. What it does not have is zero.
type Network struct {
	Name       string
	IPv4, IPv6 netip.Addr
	Gateway4   netip.Addr
	Gateway6   netip.Addr
	priority   int // for the default route, since Docker 28
}

// Port is a port of a container that is published.
type Port struct {
	Proto  trace.Proto
	Inside uint16
	// Host is the address of the host; unspecified for all of a family.
	Host netip.AddrPort
}

// Addresses lists the container's addresses.
func (c Container) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, n := range c.Networks {
		for _, a := range []netip.Addr{n.IPv4, n.IPv6} {
			if a.IsValid() {
				all = append(all, a)
			}
		}
	}
	return all
}

// Target is the address and port that a published port leads to: that of the
// first network with a gateway, of the published address' family where there is one.
func (c Container) Target(p Port) netip.AddrPort {
	var other netip.Addr
	for _, n := range c.Networks {
		own, gateway, rest := n.IPv4, n.Gateway4, n.IPv6
		if p.Host.Addr().Is6() {
			own, gateway, rest = n.IPv6, n.Gateway6, n.IPv4
		}
		if own.IsValid() && gateway.IsValid() {
			return netip.AddrPortFrom(own, p.Inside)
		}
		if !other.IsValid() {
			other = rest
		}
	}
	if !other.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(other, p.Inside) // Docker's own proxy changes the family
}

// Called says whether the name is one of the container's.
func (c Container) Called(name string) bool {
	return c.Name == name || slices.Contains(c.Aliases, name)
}

// UnavailableError is a daemon that cannot be asked.
type UnavailableError struct {
	Socket string
	Err    error
}

func (e *UnavailableError) Error() string {
	s := fmt.Sprintf("asking Docker on %s: ", e.Socket)
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return s + "there is no such socket; is Docker running? DOCKER_HOST can name another one"
	case errors.Is(e.Err, fs.ErrPermission):
		return s + "permission denied; run it with sudo"
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return s + "nobody listens there; is Docker running?"
	}
	return s + e.Err.Error()
}

// Unwrap gives the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// errGone is a container that the daemon does not know.
var errGone = errors.New("there is no such container")

// atOnce is how many containers are asked about at a time.
const atOnce = 8

// Containers lists the running containers. A daemon that does not answer is an
// *UnavailableError.
func Containers(ctx context.Context, socket string) ([]Container, error) {
	c := newClient(socket)
	defer c.http.CloseIdleConnections()
	body, err := c.get(ctx, "/containers/json", nil)
	if err != nil {
		return nil, &UnavailableError{socket, err}
	}
	defer body.Close()
	ids, err := readIDs(io.LimitReader(body, longest))
	if err != nil {
		return nil, err
	}
	all := make([]Container, len(ids))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i, id := range ids {
		work.Go(func() (err error) {
			all[i], err = c.inspect(ctx, id)
			if errors.Is(err, errGone) {
				return nil // it has ended meanwhile
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Container) bool { return c.PID == 0 }), nil
}

// readIDs reads the IDs from a list of containers.
func readIDs(r io.Reader) ([]string, error) {
	var all []struct{ ID string }
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return nil, fmt.Errorf("reading Docker's list of containers: %w", err)
	}
	var ids []string
	for _, c := range all {
		if !proper.MatchString(c.ID) {
			return nil, fmt.Errorf("reading Docker's list of containers: %q is no ID", c.ID)
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// inspect asks for all that is known of a container.
func (c client) inspect(ctx context.Context, id string) (Container, error) {
	body, err := c.get(ctx, "/containers/"+id+"/json", nil)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		return Container{}, errGone
	}
	if err != nil {
		return Container{}, err
	}
	defer body.Close()
	return readContainer(io.LimitReader(body, longest))
}

// inspected is what is read of the answer about a container.
type inspected struct {
	ID, Name string
	State    struct {
		Running bool
		Pid     int
	}
	HostConfig      struct{ NetworkMode string }
	NetworkSettings struct {
		SandboxKey string
		Networks   map[string]endpoint
		Ports      map[string][]struct{ HostIP, HostPort string }
	}
}

// endpoint is a container's place on a network.
type endpoint struct {
	IPAddress, GlobalIPv6Address string
	Gateway, IPv6Gateway         string
	GwPriority                   int
	Aliases, DNSNames            []string
}

// readContainer reads the answer about a container. One that does not run has no PID.
func readContainer(r io.Reader) (Container, error) {
	var in inspected
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return Container{}, fmt.Errorf("reading what Docker says of a container: %w", err)
	}
	c := Container{ID: in.ID, Name: strings.TrimPrefix(in.Name, "/"), Sandbox: in.NetworkSettings.SandboxKey, HostNetwork: in.HostConfig.NetworkMode == "host"}
	if !proper.MatchString(c.Name) || !proper.MatchString(c.ID) {
		return Container{}, fmt.Errorf("reading what Docker says of a container: %q and %q are no name and ID", c.Name, c.ID)
	}
	if in.State.Running {
		c.PID = in.State.Pid
	}
	for name, e := range in.NetworkSettings.Networks {
		c.Networks = append(c.Networks, e.network(name))
		c.Aliases = append(c.Aliases, e.names(c.Name)...)
	}
	slices.Sort(c.Aliases)
	c.Aliases = slices.Compact(c.Aliases)
	// As libnetwork orders endpoints (Less in its endpoint.go and sandbox.go).
	slices.SortFunc(c.Networks, func(a, b Network) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.Name, b.Name))
	})
	for text, bindings := range in.NetworkSettings.Ports {
		for _, b := range bindings {
			if p, ok := readPort(text, b.HostIP, b.HostPort); ok {
				c.Ports = append(c.Ports, p)
			}
		}
	}
	slices.SortFunc(c.Ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Inside, b.Inside), a.Host.Compare(b.Host))
	})
	return c, nil
}

func (e endpoint) network(name string) Network {
	return Network{
		Name: name, IPv4: address(e.IPAddress), IPv6: address(e.GlobalIPv6Address),
		Gateway4: address(e.Gateway), Gateway6: address(e.IPv6Gateway), priority: e.GwPriority,
	}
}

// names lists what else than its own name the network calls a container.
func (e endpoint) names(own string) []string {
	return slices.DeleteFunc(slices.Concat(e.Aliases, e.DNSNames), func(n string) bool { return n == own || !proper.MatchString(n) })
}

// address reads an address; zero where there is none.
func address(text string) netip.Addr {
	a, _ := netip.ParseAddr(text) // the zero Addr with an error
	return a.Unmap()
}

// transports are the protocols of published ports that a trace looks into.
var transports = map[string]trace.Proto{"tcp": trace.TCP, "udp": trace.UDP}

// readPort reads a published port: "80/tcp", the address and the port of the host.
func readPort(inside, hostIP, hostPort string) (Port, bool) {
	number, name, _ := strings.Cut(inside, "/")
	proto, known := transports[name]
	in, err1 := strconv.ParseUint(number, 10, 16)
	host, err2 := strconv.ParseUint(hostPort, 10, 16)
	addr := address(hostIP)
	if hostIP == "" {
		addr = netip.IPv4Unspecified()
	}
	if !known || err1 != nil || err2 != nil || !addr.IsValid() {
		return Port{}, false
	}
	return Port{Proto: proto, Inside: uint16(in), Host: netip.AddrPortFrom(addr, uint16(host))}, true
}
