package dropped

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

const tracepoint = "kfree_skb"

// Where the program keeps what it needs across calls. Calls spoil R0 to R5 and
// leave these alone.
const (
	arguments = asm.R6    // of the tracepoint: packet, location, reason
	out       = asm.R7    // the record
	packet    = asm.R8    // the skb; in the end, its bytes
	pointer   = asm.R9    // the interface, the socket
	header    = arguments // where the network header begins, behind the first byte of all
	length    = pointer   // how many bytes to copy
)

// word is where on its stack the program reads pointers and numbers to.
const word = -8

// program is what the kernel runs for every packet that it frees as dropped. Of
// IPv4 and IPv6 it writes a record into the ring buffer or, where that is full, the time into the
// map of losses. It only reads, and every read of what a pointer leads to may
// fail: then there are zeros.
func program(l layout, ring, losses *ebpf.Map) asm.Instructions {
	var p asm.Instructions
	add := func(more ...asm.Instruction) { p = append(p, more...) }

	add(asm.Mov.Reg(arguments, asm.R1))
	add(asm.LoadMem(packet, arguments, 0, asm.DWord))
	add(number(pointer, asm.Half, packet, l.skbProtocol)...)
	add(asm.JEq.Imm(pointer, inMemory(etherIPv4), "wanted"), asm.JNE.Imm(pointer, inMemory(etherIPv6), "done"))
	add(reserve(ring)...)
	add(asm.JEq.Imm(asm.R0, 0, "full"), asm.Mov.Reg(out, asm.R0))

	add(asm.FnKtimeGetNs.Call(), asm.StoreMem(out, atTime, asm.R0, asm.DWord))
	add(asm.LoadMem(asm.R1, arguments, 8, asm.DWord), asm.StoreMem(out, atLocation, asm.R1, asm.DWord))
	add(asm.Mov.Imm(asm.R1, 0))
	if l.reason {
		add(asm.LoadMem(asm.R1, arguments, 16, asm.DWord))
	}
	add(asm.StoreMem(out, atReason, asm.R1, asm.Word))

	add(asm.StoreMem(out, atProtocol, pointer, asm.Half))
	add(follow(packet, l.skbDevice)...)
	add(copyTo(atName, nameSize, pointer, l.deviceName)...)
	add(follow(pointer, l.deviceNet)...)
	add(copyTo(atNetns, 4, pointer, l.netInode)...)
	if l.receiver {
		add(asm.LoadMem(pointer, arguments, 24, asm.DWord), asm.JNE.Imm(pointer, 0, "socket"))
	}
	add(follow(packet, l.skbSocket)...)
	net := follow(pointer, l.socketNet) // a socket begins with its struct sock_common
	net[0] = net[0].WithSymbol("socket")
	add(net...)
	add(copyTo(atSockNetns, 4, pointer, l.netInode)...)
	add(copyPacket(l)...)

	add(asm.Mov.Reg(asm.R1, out).WithSymbol("submit"), asm.Mov.Imm(asm.R2, 0), asm.FnRingbufSubmit.Call())
	add(asm.Ja.Label("done"))
	add(lose(losses)...)
	add(asm.Mov.Imm(asm.R0, 0).WithSymbol("done"), asm.Return())
	return p
}

// inMemory is what the program reads where an EtherType lies in network byte order.
func inMemory(etherType uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType)))
}

// reserve asks for room for a record.
func reserve(ring *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, ring.FD()).WithSymbol("wanted"), asm.Mov.Imm(asm.R2, recordSize), asm.Mov.Imm(asm.R3, 0), asm.FnRingbufReserve.Call(),
	}
}

// lose notes the time in the map of losses.
func lose(losses *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.FnKtimeGetNs.Call().WithSymbol("full"),
		asm.StoreMem(asm.R10, word, asm.R0, asm.DWord),
		asm.StoreImm(asm.R10, word-8, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, losses.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, word-8),
		asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, word),
		asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call(),
	}
}

// copyTo reads size bytes at a place in the kernel's memory into the record.
func copyTo(at int32, size int32, base asm.Register, offset int32) asm.Instructions {
	return append(asm.Instructions{asm.Mov.Reg(asm.R1, out), asm.Add.Imm(asm.R1, at), asm.Mov.Imm(asm.R2, size)}, read(base, offset)...)
}

// follow reads a pointer, for the next copy.
func follow(base asm.Register, offset int32) asm.Instructions {
	return number(pointer, asm.DWord, base, offset)
}

// number reads a number or a pointer into a register, by way of the stack.
func number(to asm.Register, size asm.Size, base asm.Register, offset int32) asm.Instructions {
	p := asm.Instructions{asm.Mov.Reg(asm.R1, asm.R10), asm.Add.Imm(asm.R1, word), asm.Mov.Imm(asm.R2, int32(size.Sizeof()))}
	p = append(p, read(base, offset)...) // writes zeros where it cannot read
	return append(p, asm.LoadMem(to, asm.R10, word, size))
}

func read(base asm.Register, offset int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Reg(asm.R3, base), asm.Add.Imm(asm.R3, offset), asm.FnProbeReadKernel.Call()}
}

// copyPacket copies what is in one piece from the network header on. Where no
// network header was set, it copies nothing.
func copyPacket(l layout) asm.Instructions {
	var p asm.Instructions
	p = append(p, asm.StoreImm(out, atCaptured, 0, asm.Word))
	p = append(p, number(length, asm.Word, packet, l.skbTail)...)
	p = append(p, number(header, asm.Half, packet, l.skbNetworkHeader)...)
	p = append(p,
		asm.JEq.Imm(header, 0, "submit"),
		asm.JGE.Reg(header, length, "submit"),
		asm.Sub.Reg(length, header),
		asm.JLE.Imm(length, mostPacket, "fits"),
		asm.Mov.Imm(length, mostPacket),
	)
	head := number(packet, asm.DWord, packet, l.skbHead)
	head[0] = head[0].WithSymbol("fits")
	p = append(p, head...)
	p = append(p,
		asm.Add.Reg(packet, header),
		asm.StoreMem(out, atCaptured, length, asm.Word),
		asm.Mov.Reg(asm.R1, out), asm.Add.Imm(asm.R1, atPacket),
		asm.Mov.Reg(asm.R2, length), asm.Mov.Reg(asm.R3, packet),
		asm.FnProbeReadKernel.Call(),
		asm.JEq.Imm(asm.R0, 0, "submit"),
		asm.StoreImm(out, atCaptured, 0, asm.Word),
	)
	return p
}
