// Light, dark, or as the system has it.

export type Choice = 'system' | 'light' | 'dark';

const system = matchMedia('(prefers-color-scheme: dark)');

function remembered(): Choice {
  try {
    const chosen = localStorage.getItem('scry.theme');
    return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
  } catch {
    return 'system';
  }
}

class Theme {
  choice = $state<Choice>(remembered());
  private systemDark = $state(system.matches);
  readonly dark = $derived(this.choice === 'system' ? this.systemDark : this.choice === 'dark');

  constructor() {
    system.addEventListener('change', () => {
      this.systemDark = system.matches;
      this.apply();
    });
  }

  choose(choice: Choice): void {
    this.choice = choice;
    try {
      if (choice === 'system') localStorage.removeItem('scry.theme');
      else localStorage.setItem('scry.theme', choice);
    } catch {
      // It lasts as long as the page, then.
    }
    this.apply();
  }

  toggle(): void {
    this.choose(this.dark ? 'light' : 'dark');
  }

  private apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

export const theme = new Theme();
