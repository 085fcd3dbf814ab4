/** The words of the page: those of our own developer hub. */
export const wording = {
  title: 'Welcome to our developer hub',
  nameLabel: 'Who are you?',
  loading: 'Asking the reception desk…',
  failed: 'The reception desk does not answer',
};
