// What is open around the pages.

class ShellState {
  palette = $state(false);
  keymap = $state(false);
}

export const shell = new ShellState();
