// Package dockertest traces a real Docker daemon. Its test starts dockerd in
// the host of a small lab, publishes a container's port, and asks for it from
// another machine while containers come and go: the walks have to name dockerd's
// own rules, and dockerd's rules have to outlast the trace unchanged.
//
// There is nothing in it but tests. They need root, and on Debian the packages
// docker.io and busybox-static; they take no image from a registry.
package dockertest
