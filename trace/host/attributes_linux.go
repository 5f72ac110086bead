package host

import mdlayher "github.com/mdlayher/netlink"

// attributes calls f for each netlink attribute, by its type without flags. Of
// the two netlink packages this is the one that trusts no length.
func attributes(data []byte, f func(kind uint16, v []byte) error) error {
	d, err := mdlayher.NewAttributeDecoder(data)
	if err != nil {
		return err
	}
	for d.Next() {
		if err := f(d.Type(), d.Bytes()); err != nil {
			return err
		}
	}
	return d.Err()
}
