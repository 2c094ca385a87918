// Package crash kills programs that migrate, at every point of their lives, and counts the harm: clusters that are migrated
// twice, migrations whose ID is lost, records that are lost.
//
// In process, a program dies at its k-th event, on virtual time. As a process, it is killed by SIGKILL. Either way it is
// started again with the same plans until all its migrations are COMPLETE. Two other programs show that the harness notices
// harm: one without intents, and one that stores its intents too late.
package crash
