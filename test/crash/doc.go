// Package crash kills programs that migrate, at every point of their lives, and shows what is left: clusters that are
// migrated twice, jobs whose id is lost, records that are lost.
//
// The tests hold the harness. In process, a program dies at its k-th event, on virtual time; after that nothing it does has
// an effect. As a process, the command worker is killed by SIGKILL. Either way the program is started again with the same
// plans, until all migrations are COMPLETE. The same is done to a program without intents, for comparison, and to one that
// stores its intents too late, to show that the harness notices it.
//
// The command crash runs the tests in full and writes their figures into a document.
package crash
