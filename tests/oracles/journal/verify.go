// Verifies exports of Tolem journals with other people's code: Go's transparency-log packages, as Debian ships them.
//
//	verify VKEY EXPORT [OLDER-EXPORT]
//
// The export is a C2SP tlog-tiles directory. Its checkpoint must be signed by VKEY; the root is computed again from
// the entry bundles; every tile is read through tlog.TileHashReader, which believes nothing that does not lead to the signed
// root; inclusion of some records and consistency with an older export are proven and the proofs checked. Prints one line
// when all is well, otherwise says what is not and ends with 1. It shares no line with the programs it judges.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fail("usage: verify VKEY EXPORT [OLDER-EXPORT]")
	}
	vkey := os.Args[1]
	tree := verify(vkey, os.Args[2])
	if len(os.Args) == 4 {
		older := verify(vkey, os.Args[3])
		consistent(older, tree, os.Args[2])
		fmt.Printf("good: %d records, root %v, continues %d records\n", tree.N, tree.Hash, older.N)
		return
	}
	fmt.Printf("good: %d records, root %v\n", tree.N, tree.Hash)
}

func verify(vkey, export string) tlog.Tree {
	tree := openCheckpoint(vkey, filepath.Join(export, "checkpoint"))
	leaves := leavesOf(export, tree.N)
	root, hashes := rootOf(leaves)
	if root != tree.Hash {
		fail("the bundles have root %v, signed is %v", root, tree.Hash)
	}
	// A reader that takes a hash from a tile only if it leads to the signed root.
	tiles := tlog.TileHashReader(tree, tileReader{export})
	indexes := make([]int64, len(leaves))
	for i := range leaves {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	stored, err := tiles.ReadHashes(indexes)
	check("tiles", err)
	for i, leaf := range leaves {
		if stored[i] != leaf {
			fail("record %d: its hash in the tile is %v, its bytes give %v", i, stored[i], leaf)
		}
	}
	for _, i := range []int64{0, tree.N / 3, tree.N / 2, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, i, hashes)
		check("inclusion", err)
		check("inclusion", tlog.CheckRecord(proof, tree.N, tree.Hash, i, leaves[i]))
	}
	return tree
}

func consistent(older, newer tlog.Tree, export string) {
	tiles := tlog.TileHashReader(newer, tileReader{export})
	proof, err := tlog.ProveTree(newer.N, older.N, tiles)
	check("consistency", err)
	check("consistency", tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash))
}

func openCheckpoint(vkey, path string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check("vkey", err)
	signed, err := ioutil.ReadFile(path)
	check("checkpoint", err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check("checkpoint", err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		fail("checkpoint: not one of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check("checkpoint", err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check("checkpoint", err)
	tree := tlog.Tree{N: size}
	if len(root) != len(tree.Hash) || size < 1 {
		fail("checkpoint: no root of %d records", size)
	}
	copy(tree.Hash[:], root)
	return tree
}

// leavesOf hashes all records in the bundles: each behind its length in two bytes, 256 to a file.
func leavesOf(export string, size int64) []tlog.Hash {
	var leaves []tlog.Hash
	for first := int64(0); first < size; first += tileWidth {
		path := filepath.Join(export, tilePath("entries", first/tileWidth, size-first))
		bundle, err := ioutil.ReadFile(path)
		check("bundle", err)
		for rest := bundle; len(rest) > 0; {
			if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
				fail("%s: ends within record %d", path, len(leaves))
			}
			end := 2 + int(binary.BigEndian.Uint16(rest))
			leaves = append(leaves, tlog.RecordHash(rest[2:end]))
			rest = rest[end:]
		}
	}
	if int64(len(leaves)) != size {
		fail("%d records in the bundles, %d are signed", len(leaves), size)
	}
	return leaves
}

type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not there", i)
		}
		hashes = append(hashes, s[i])
	}
	return hashes, nil
}

func rootOf(leaves []tlog.Hash) (tlog.Hash, storage) {
	var hashes storage
	for i, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, hashes)
		check("tree", err)
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), hashes)
	check("tree", err)
	return root, hashes
}

type tileReader struct{ export string }

func (tileReader) Height() int { return tileHeight }

func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		path := filepath.Join(r.export, tilePath(strconv.Itoa(tile.L), tile.N, int64(tile.W)))
		bytes, err := ioutil.ReadFile(path)
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

// tilePath names a tile as c2sp.org/tlog-tiles does, which leaves out the height that Go's tlog writes.
func tilePath(level string, number, width int64) string {
	path := fmt.Sprintf("%03d", number%1000)
	for number /= 1000; number > 0; number /= 1000 {
		path = fmt.Sprintf("x%03d/", number%1000) + path
	}
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return "tile/" + level + "/" + path
}

func check(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func fail(format string, arguments ...interface{}) {
	var line bytes.Buffer
	fmt.Fprintf(&line, format, arguments...)
	fmt.Fprintln(os.Stderr, "BAD: "+line.String())
	os.Exit(1)
}
