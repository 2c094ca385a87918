//go:build race

package faultmatrix

func init() { underRace = true }
