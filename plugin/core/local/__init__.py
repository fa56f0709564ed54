"""The update on this computer: plan, produce, store; journal; verify; defragment."""
