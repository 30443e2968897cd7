package kernel

import "syscall"

// hasI8MM says that the CPU has I8MM, for which golang.org/x/sys/cpu does not ask Windows.
// The number is PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE of winnt.h; a Windows that does not know it answers 0.
var hasI8MM = func() bool {
	const i8mm = 66
	present, _, _ := syscall.NewLazyDLL("kernel32.dll").NewProc("IsProcessorFeaturePresent").Call(i8mm)
	return present != 0
}()
